"""Reads the origin's binlog: packets to events, events to transactions; rows stay raw."""
