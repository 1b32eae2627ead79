"""Runs the work of a site: one process per role of each stream under a supervisor, with signals, restarts and systemd."""
