"""Metrics for Prometheus, made from the same snapshots as /lag. Unknown is NaN, never 0."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from .. import __version__
from ..model import State
from .lag import STAGES, SiteView, lag_document
from .view import WorkerView

__all__ = ["exposition"]

_STREAM = ("pair", "origin", "target", "stream")


def exposition(view: SiteView, now_us: int) -> bytes:
    """The text format of everything."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(view, now_us))
    return generate_latest(registry)


class _Metrics(Collector):
    def __init__(self, view: SiteView, now_us: int) -> None:
        self._view = view
        self._document = lag_document(view, now_us)

    def collect(self) -> Iterable[Metric]:
        """All families."""
        info = InfoMetricFamily("replicator_build", "The program's version and the site it serves.")
        info.add_metric((), {"version": __version__, "site": self._view.site})
        yield info
        ready = GaugeMetricFamily("replicator_ready", "Whether every flow of this site streams.")
        ready.add_metric((), float(self._document["ready"]))
        yield ready
        yield from self._lag()
        yield from self._workers()
        yield from _reported(self._view.workers, "counter")
        yield from _reported(self._view.workers, "gauge")

    def _lag(self) -> Iterator[Metric]:
        labels = (*_STREAM, "stage")
        lag = GaugeMetricFamily("replicator_lag_seconds", "Now minus the commit time of what last passed.", labels=labels)
        behind = GaugeMetricFamily("replicator_lag_transactions", "Transactions that have not passed yet.", labels=labels)
        sequence = GaugeMetricFamily("replicator_stage_sequence", "Sequence of what last passed.", labels=labels)
        origin = GaugeMetricFamily(
            "replicator_stage_origin_timestamp_seconds", "When the origin committed what last passed.", labels=labels
        )
        streams = [s for flow in self._document["flows"] for s in flow["streams"]]
        for worker, stream in zip(_in_flow_order(self._view.workers), streams, strict=True):
            for name in STAGES:
                stage = worker.stages.get(name)
                if stage is None:
                    continue
                values = (*_stream_labels(worker), name)
                shown = stream["stages"][name]
                lag.add_metric(values, _number(shown["lag_seconds"]))
                behind.add_metric(values, _number(shown["lag_transactions"]))
                sequence.add_metric(values, stage.sequence)
                origin.add_metric(values, stage.origin_time_us / 1e6 if stage.origin_time_us else math.nan)
        yield from (lag, behind, sequence, origin)

    def _workers(self) -> Iterator[Metric]:
        labels = (*_STREAM, "role")
        state = GaugeMetricFamily("replicator_worker_state", "1 for the state it is in.", labels=(*labels, "state"))
        up = GaugeMetricFamily("replicator_worker_up", "Whether the worker has a process.", labels=labels)
        restarts = CounterMetricFamily("replicator_worker_restarts", "How often its process ended.", labels=labels)
        progress = CounterMetricFamily("replicator_worker_progress", "Rounds of its loop.", labels=labels)
        epoch = GaugeMetricFamily("replicator_stream_epoch", "The stream's epoch.", labels=labels)
        for worker in self._view.workers:
            values = (*_stream_labels(worker), worker.role)
            for each in State:
                state.add_metric((*values, each.value), float(worker.state is each))
            up.add_metric(values, float(worker.alive))
            restarts.add_metric(values, worker.restarts)
            if worker.status is not None:
                progress.add_metric(values, worker.status.progress)
                epoch.add_metric(values, worker.status.epoch)
        yield from (state, up, restarts, progress, epoch)


def _in_flow_order(workers: Iterable[WorkerView]) -> list[WorkerView]:
    """As ``lag_document`` groups them."""
    flows: dict[str, list[WorkerView]] = {}
    for worker in workers:
        flows.setdefault(worker.stream.flow, []).append(worker)
    return [worker for members in flows.values() for worker in members]


def _stream_labels(worker: WorkerView) -> tuple[str, str, str, str]:
    s = worker.stream
    return (s.pair, s.origin, s.target, s.stream)


def _number(value: float | str) -> float:
    return math.nan if isinstance(value, str) else value


def _reported(workers: Iterable[WorkerView], kind: str) -> Iterator[Metric]:
    """What workers count themselves: ``name|label=value,label=value``."""
    make: Callable[..., CounterMetricFamily | GaugeMetricFamily]
    make = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
    families: dict[tuple[str, tuple[str, ...]], CounterMetricFamily | GaugeMetricFamily] = {}
    for worker in workers:
        for key, value in sorted((worker.counters if kind == "counter" else worker.gauges).items()):
            name, _, rest = key.partition("|")
            extra = dict(part.partition("=")[::2] for part in rest.split(",") if part)
            labels = (*_STREAM, "role", *sorted(extra))
            clean = re.sub(r"[^a-zA-Z0-9_]", "_", name)
            family = families.get((clean, labels))
            if family is None:
                family = make(f"replicator_{clean}", f"{clean.replace('_', ' ').capitalize()}, by worker.", labels=labels)
                families[clean, labels] = family
            family.add_metric((*_stream_labels(worker), worker.role, *(extra[label] for label in sorted(extra))), value)
    yield from families.values()
