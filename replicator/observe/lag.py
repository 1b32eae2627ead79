"""Lag: from workers' snapshots to the document that /lag shows. Pure: the clock is handed in.

The lag of a stage is now minus the commit time, at the origin, of the last transaction or heartbeat that passed it. So it
grows while nothing arrives, whatever the reason, and it is never a number that was true some time ago. It is ``unknown``

- before anything passed the stage, and
- where this host's clock is behind the origin's by more than a second, because then the difference says nothing.

Lag in transactions is the difference to the newest sequence known here, while the worker streams: one that is paused, retrying
or stopped learns of nothing new, so then it is ``unknown``. The applier's side knows it only when it has fetched all that the
topic holds (gauge ``records_behind``).
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..model import Role, State
from .status import ErrorReport
from .view import WorkerView

__all__ = ["STAGES", "STILL_S_MAX", "UNKNOWN", "SiteView", "lag_document", "lag_seconds", "reasons", "utc"]

UNKNOWN: Final = "unknown"
STAGES: Final = {
    "read": "read from the origin's binlog",
    "acknowledged": "acknowledged by Kafka",
    "confirmed": "confirmed by the applier",
    "fetched": "fetched from Kafka",
    "applied": "applied at the target",
}
"""In the order of the data, `confirmed` being what the source site learns of `applied`."""
_LAST_STAGE: Final = {Role.SOURCE: "confirmed", Role.APPLIER: "applied"}
_CLOCK_TOLERANCE_US = 1_000_000
STALE_US = 15_000_000
"""A worker whose last snapshot is older does not count as streaming."""
STILL_S_MAX: Final = 30.0
"""A worker whose loop stands still for longer does not count as streaming either, though it goes on reporting."""
_LOOP_AGE_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class SiteView:
    """All that the supervisor of a site knows."""

    site: str
    workers: Sequence[WorkerView]
    loop_age_s: float = 0.0
    """Since its loop last went round."""
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By pair: the lag in seconds that warns, and the one that is critical."""
    note: str = ""
    roles: str = "source or applier"
    """What the supervisor was told to run."""

    @property
    def live(self) -> bool:
        """Whether the supervisor itself works."""
        return self.loop_age_s < _LOOP_AGE_S_MAX


def utc(time_us: int) -> str | None:
    """ISO 8601 in UTC; None for 0, which means never."""
    if time_us <= 0:
        return None
    stamp = datetime.datetime.fromtimestamp(time_us / 1e6, datetime.UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def lag_seconds(origin_time_us: int, now_us: int) -> float | str:
    """The lag of a stage that last passed something committed at ``origin_time_us``."""
    if origin_time_us <= 0 or now_us < origin_time_us - _CLOCK_TOLERANCE_US:
        return UNKNOWN
    return round(max(0, now_us - origin_time_us) / 1e6, 3)


def reasons(view: SiteView, now_us: int) -> list[str]:
    """Why the site is not ready: one sentence per worker that does not stream, or that there is none. Empty when all stream."""
    if not view.workers:
        what = f"no stream of this configuration has its {view.roles} at the site {view.site}"
        return [f"{what}: correct --site, --role or the pairs (SIGHUP reads the file again)"]
    found = []
    for worker in view.workers:
        name = f"{worker.role} of {worker.stream}"
        if worker.state is not State.STREAMING or not worker.alive:
            state = worker.state if worker.state is not State.STREAMING else State.STARTING
            found.append(f"{name} is {state}: {worker.error.what if worker.error else worker.note}")
        elif worker.status is not None and now_us - worker.status.time_us > STALE_US:
            found.append(f"{name} has not reported for {(now_us - worker.status.time_us) // 1_000_000} s")
        elif worker.still_s > STILL_S_MAX:
            found.append(f"{name} stands still for {worker.still_s:.0f} s: one long statement, or what it waits for hangs")
    return found


def lag_document(view: SiteView, now_us: int) -> dict[str, Any]:
    """The whole document."""
    why = reasons(view, now_us)
    flows: dict[str, list[WorkerView]] = {}
    for worker in view.workers:
        flows.setdefault(worker.stream.flow, []).append(worker)
    return {
        "site": view.site,
        "time": utc(now_us),
        "ready": not why,
        "reasons": why,
        "note": view.note,
        "flows": [_flow(name, workers, view, now_us) for name, workers in flows.items()],
    }


def _flow(name: str, workers: Sequence[WorkerView], view: SiteView, now_us: int) -> dict[str, Any]:
    streams = [_stream(worker, now_us) for worker in workers]
    first = workers[0].stream
    lag = _worst([stream["lag_seconds"] for stream in streams])
    warn, critical = view.limits.get(first.pair, (30.0, 300.0))
    level = UNKNOWN if isinstance(lag, str) else "critical" if lag >= critical else "late" if lag >= warn else "ok"
    return {
        "flow": name,
        "pair": first.pair,
        "origin": first.origin,
        "target": first.target,
        "role": workers[0].role,
        "state": _worst_state([worker.state for worker in workers]),
        "lag_seconds": lag,
        "lag_transactions": _worst([stream["lag_transactions"] for stream in streams]),
        "level": level,
        "streams": streams,
    }


def _stream(worker: WorkerView, now_us: int) -> dict[str, Any]:
    newest = _newest_sequence(worker)
    stages = {}
    for name in STAGES:
        stage = worker.stages.get(name)
        if stage is None:
            continue
        behind: int | str = UNKNOWN if newest is None else max(0, newest - stage.sequence)
        stages[name] = {
            "sequence": stage.sequence,
            "gtid": stage.gtid,
            "origin_time": utc(stage.origin_time_us),
            "passed_time": utc(stage.passed_time_us),
            "lag_seconds": lag_seconds(stage.origin_time_us, now_us),
            "lag_transactions": behind,
        }
    last = stages.get(_LAST_STAGE[Role(worker.role)], {})
    status = worker.status
    return {
        "stream": worker.stream.stream,
        "flow": worker.stream.flow,
        "topic": worker.stream.topic,
        "role": worker.role,
        "state": worker.state,
        "note": worker.note,
        "pid": status.pid if status is not None and worker.alive else None,
        "restarts": worker.restarts,
        "still_seconds": round(worker.still_s, 1),
        "reported": utc(status.time_us) if status is not None else None,
        "epoch": status.epoch if status is not None else 0,
        "position": status.position if status is not None else "",
        "lag_seconds": last.get("lag_seconds", UNKNOWN),
        "lag_transactions": last.get("lag_transactions", UNKNOWN),
        "stages": stages,
        "counters": worker.counters,
        "gauges": worker.gauges,
        "error": _error(worker.error),
    }


def _newest_sequence(worker: WorkerView) -> int | None:
    """The newest sequence of the stream, where it is known on this side."""
    sequences = [stage.sequence for stage in worker.stages.values()]
    if not sequences or not worker.alive or worker.state is not State.STREAMING or worker.still_s > STILL_S_MAX:
        return None
    if worker.role == Role.APPLIER and worker.gauges.get("records_behind") != 0:
        return None
    return max(sequences)


def _error(error: ErrorReport | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "what": error.what,
        "where": error.where,
        "remedy": error.remedy,
        "kind": error.kind,
        "time": utc(error.time_us),
        "retry": error.retry,
    }


def _worst(values: Sequence[Any]) -> Any:
    """The largest; unknown if any is."""
    return UNKNOWN if not values or UNKNOWN in values else max(values)


_BADNESS = (State.STREAMING, State.STARTING, State.PAUSED, State.RETRYING, State.STOPPED)


def _worst_state(states: Sequence[State]) -> State:
    return max(states, key=_BADNESS.index)
