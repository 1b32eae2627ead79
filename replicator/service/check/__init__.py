"""`replicator check`: everything that would make a flow fail later, found now, all in one run."""

from __future__ import annotations

from .finding import Finding, Level
from .run import run_checks

__all__ = ["Finding", "Level", "run_checks"]
