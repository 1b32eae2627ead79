"""The one error of this package."""

from __future__ import annotations

from replicator.errors import ReplicatorError

__all__ = ["DevError"]


class DevError(ReplicatorError):
    """A server could not be fetched, started or stopped; says which, where its log is and what to do."""
