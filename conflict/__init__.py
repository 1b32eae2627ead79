"""Conflict types, detection, policies and merging, as pure functions: no I/O, nothing of ``replicator``."""
