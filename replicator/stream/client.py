"""kafka-python's clients with our settings, and its errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import AuthorizationError, KafkaError

from ..errors import KafkaFailure

if TYPE_CHECKING:
    from ..config import Kafka

__all__ = ["admin_client", "consumer_client", "kafka_failure", "kafka_place", "producer_client", "translated"]

_METADATA_MAX_AGE_MS = 60_000
_RECONNECT_BACKOFF_MAX_MS = 1000
_ANSWER_TIMEOUT_MS = 10_000


def kafka_place(kafka: Kafka) -> str:
    """The cluster, for messages."""
    return f"Kafka at {kafka.address}"


def kafka_failure(error: BaseException, what: str, where: str) -> KafkaFailure:
    """One of kafka-python's errors as ours."""
    if isinstance(error, AuthorizationError):
        remedy = "grant the user the access listed in docs/OPERATING.md, Permissions"
        return KafkaFailure(f"{what}: not allowed ({type(error).__name__})", where=where, remedy=remedy)
    text = str(error).removeprefix(f"{type(error).__name__}: ")
    return KafkaFailure(
        f"{what}: {type(error).__name__}: {text[:300]}", where=where, remedy="check that the brokers run and can be reached"
    )


@contextmanager
def translated(what: str, where: str) -> Iterator[None]:
    """Turn kafka-python's errors inside the block into KafkaFailure."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise kafka_failure(error, what, where) from error


def _common(kafka: Kafka, timeout_ms: int = _ANSWER_TIMEOUT_MS) -> dict[str, Any]:
    return {
        **kafka.client_args(),
        "metadata_max_age_ms": _METADATA_MAX_AGE_MS,
        "reconnect_backoff_max_ms": _RECONNECT_BACKOFF_MAX_MS,
        "bootstrap_timeout_ms": timeout_ms,
    }


def admin_client(kafka: Kafka, timeout_ms: int = _ANSWER_TIMEOUT_MS) -> KafkaAdminClient:
    """An admin client that waits so long for a connection, and for each answer; raises KafkaFailure."""
    with translated("cannot connect", kafka_place(kafka)):
        return KafkaAdminClient(**_common(kafka, timeout_ms), request_timeout_ms=timeout_ms)


def consumer_client(kafka: Kafka, **settings: Any) -> KafkaConsumer:
    """A consumer that never commits, never resets its position and never creates a topic; raises KafkaFailure."""
    with translated("cannot connect", kafka_place(kafka)):
        return KafkaConsumer(
            **_common(kafka),
            metrics_enabled=False,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            allow_auto_create_topics=False,
            check_crcs=True,
            **settings,
        )


def producer_client(kafka: Kafka, **settings: Any) -> KafkaProducer:
    """A producer whose records count only when every in-sync replica has them, once and in order; raises KafkaFailure."""
    with translated("cannot connect", kafka_place(kafka)):
        return KafkaProducer(
            **_common(kafka),
            metrics_enabled=False,
            acks="all",
            enable_idempotence=True,
            allow_auto_create_topics=False,
            **settings,
        )
