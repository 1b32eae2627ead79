"""Kafka: whether it can be reached, and whether its settings could lose a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...config import StreamConfig
from ...errors import ReplicatorError
from ...stream.client import admin_client, kafka_place, translated
from ...stream.topics import check_topics
from .finding import Finding, error, warning

__all__ = ["check_cluster"]

_DAY_HOURS = 24


def check_cluster(place: str, streams: Sequence[StreamConfig]) -> Iterator[Finding]:
    """One cluster and the streams that it carries; ``place`` is the site it belongs to."""
    kafka = streams[0].kafka
    try:
        admin = admin_client(kafka)
        try:
            with translated("cannot ask the cluster", kafka_place(kafka)):
                brokers = len(admin.describe_cluster()["brokers"])
        finally:
            admin.close()
    except ReplicatorError as failure:
        yield error(place, f"{failure.what} at {kafka.address}", failure.remedy)
        return
    if kafka.replication_factor is not None and kafka.replication_factor > brokers:
        what = f"replication_factor is {kafka.replication_factor}, but the cluster has {brokers} brokers"
        yield error(place, what, "lower kafka.replication_factor, or add brokers")
    if brokers == 1 or kafka.replication_factor == 1:
        what = "streams are kept once only: the loss of a broker's disk is the loss of what was not applied yet"
        yield warning(place, what, "three brokers, kafka: {replication_factor: 3, min_insync_replicas: 2}")
    elif kafka.replication_factor is not None and (kafka.min_insync_replicas or 1) < 2:
        what = "min_insync_replicas is 1: a record may be acknowledged by a single broker and be lost with it"
        yield warning(place, what, "kafka: {min_insync_replicas: 2}")
    if 0 < kafka.retention_hours < _DAY_HOURS:
        what = f"streams are kept for {kafka.retention_hours} hours only: an applier that is away longer has to start anew"
        yield warning(place, what, "kafka: {retention_hours: 168}")
    for stream in streams:
        try:
            for problem in check_topics(stream):
                yield error(place, problem, "change it with kafka-configs.sh --alter")
        except ReplicatorError as failure:
            yield error(place, f"{failure.what}: {stream.id.topic}", failure.remedy)
