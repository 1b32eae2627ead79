"""The stream between the sites: the wire format and its rules."""
