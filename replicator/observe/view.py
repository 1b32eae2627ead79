"""What a supervisor knows of one worker: its last snapshot, and what only the supervisor sees. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..model import State, StreamId
from .status import ErrorReport, StageStatus, WorkerStatus

__all__ = ["WorkerView"]


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker as the supervisor knows it.

    Stages are kept over restarts of the process, so that lag goes on growing while a worker is away; counters add up.
    """

    stream: StreamId
    role: str
    alive: bool = False
    """Whether its process runs."""
    restarts: int = 0
    status: WorkerStatus | None = None
    """The last snapshot of its present process."""
    stages: dict[str, StageStatus] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)
    error: ErrorReport | None = None
    """The last error, until it streams again."""
    note: str = ""
    state: State = State.STARTING
    still_s: float = 0.0
    """Since its loop last went round; 0 while it has no process."""

    @property
    def gauges(self) -> dict[str, float]:
        """As the present process reports them; none while there is no process."""
        return dict(self.status.gauges) if self.status is not None and self.alive else {}
