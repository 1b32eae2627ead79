"""Lag is honest: it grows on silence, is unknown where it cannot be known, and never stands at an old number."""

from __future__ import annotations

import json
from typing import Any

from conflict.types import Action, ConflictType, Record
from replicator.apply.resolve import Resolver
from replicator.cli.status import _stream_lines
from replicator.config import Config
from replicator.context import Reporter
from replicator.model import Role, State, StreamId
from replicator.observe.http import application
from replicator.observe.lag import SiteView, lag_document, lag_seconds, reasons
from replicator.observe.metrics import exposition
from replicator.observe.page import page
from replicator.observe.status import ErrorReport, StageStatus, WorkerStatus
from replicator.observe.view import WorkerView

S = 1_000_000
T = 1_700_000_000 * S
STREAM = StreamId("shop", "east", "west")


def worker(
    role: str = "applier",
    *,
    alive: bool = True,
    state: State = State.STREAMING,
    stages: dict[str, StageStatus] | None = None,
    gauges: dict[str, float] | None = None,
    counters: dict[str, float] | None = None,
    error: ErrorReport | None = None,
    time_us: int = T,
    stream: StreamId = STREAM,
    still_s: float = 0.0,
) -> WorkerView:
    """A worker as the supervisor would see it."""
    status = WorkerStatus(
        role, stream.pair, stream.origin, stream.target, stream.stream, 7, state.value, time_us, gauges=gauges or {}
    )
    return WorkerView(
        stream, role, alive, 0, status, stages or {}, counters or {}, error, "note <i>", state, still_s
    )


def stage(sequence: int, age_s: float) -> StageStatus:
    """Passed by something that was committed that long before T."""
    return StageStatus(sequence, f"u:{sequence}", int(T - age_s * S), T)


def test_lag_grows_while_nothing_arrives() -> None:
    """The same snapshot, asked later, shows more lag, whether the worker lives or not."""
    for alive in (True, False):
        view = SiteView("west", [worker(stages={"applied": stage(9, 1)}, alive=alive)])
        lags = [lag_document(view, T + later * S)["flows"][0]["lag_seconds"] for later in (0, 10, 3600)]
        assert lags == [1.0, 11.0, 3601.0]


def test_lag_is_unknown_before_anything_passed() -> None:
    """And a flow whose second stream is unknown is unknown as a whole."""
    other = StreamId("shop", "east", "west", "log")
    view = SiteView("west", [worker(stages={"applied": stage(9, 1)}), worker(stream=other)])
    (flow,) = lag_document(view, T)["flows"]
    assert [stream["lag_seconds"] for stream in flow["streams"]] == [1.0, "unknown"]
    assert flow["lag_seconds"] == flow["level"] == "unknown"


def test_lag_is_unknown_where_clocks_disagree() -> None:
    """A clock behind the origin's would show 0 for as long as it is behind: then it says nothing instead."""
    assert lag_seconds(T, T + S) == 1.0
    assert lag_seconds(T, T - S // 2) == 0.0
    assert lag_seconds(T, T - 2 * S) == "unknown"
    assert lag_seconds(0, T) == "unknown"


def test_the_source_shows_what_the_applier_confirmed() -> None:
    """At the origin, lag is that of the confirmed stage, in time and in transactions."""
    stages = {"read": stage(12, 0), "acknowledged": stage(11, 0.5), "confirmed": stage(10, 4)}
    (flow,) = lag_document(SiteView("east", [worker("source", stages=stages)]), T)["flows"]
    assert (flow["lag_seconds"], flow["lag_transactions"]) == (4.0, 2)
    assert list(flow["streams"][0]["stages"]) == ["read", "acknowledged", "confirmed"]
    without = {"read": stages["read"]}
    (flow,) = lag_document(SiteView("east", [worker("source", stages=without)]), T)["flows"]
    assert flow["lag_seconds"] == "unknown"


def test_lag_in_transactions_needs_the_end_of_the_topic() -> None:
    """The applier knows how many are missing only when it has fetched all there are."""
    stages = {"fetched": stage(12, 0), "applied": stage(10, 1)}
    for gauges, expected in (({}, "unknown"), ({"records_behind": 3.0}, "unknown"), ({"records_behind": 0.0}, 2)):
        (flow,) = lag_document(SiteView("west", [worker(stages=stages, gauges=gauges)]), T)["flows"]
        assert flow["lag_transactions"] == expected


def test_lag_in_transactions_is_unknown_while_a_worker_does_not_stream() -> None:
    """What is paused or stopped learns of nothing new: its last difference would stand at an old number."""
    for role, stages in (
        ("applier", {"fetched": stage(12, 0), "applied": stage(12, 1)}),
        ("source", {"read": stage(12, 0), "confirmed": stage(12, 1)}),
    ):
        for state in State:
            found = worker(role, state=state, stages=stages, gauges={"records_behind": 0.0})
            (flow,) = lag_document(SiteView("west", [found]), T)["flows"]
            assert flow["lag_transactions"] == (0 if state is State.STREAMING else "unknown")


def test_lag_in_transactions_is_unknown_while_a_worker_stands_still() -> None:
    """It reports and says that it streams, but what it waits for hangs: it learns of nothing new."""
    stages = {"fetched": stage(12, 0), "applied": stage(12, 1)}
    for still_s, missing in ((29, 0), (31, "unknown")):
        view = SiteView("west", [worker(stages=stages, gauges={"records_behind": 0.0}, still_s=still_s)])
        (flow,) = lag_document(view, T)["flows"]
        assert (flow["streams"][0]["still_seconds"], flow["lag_transactions"]) == (still_s, missing)


def test_levels_follow_the_pairs_limits() -> None:
    """From `ok` to `late` to `critical`."""
    view = SiteView("west", [worker(stages={"applied": stage(1, 0)})], limits={"shop": (5, 50)})
    assert [lag_document(view, T + s * S)["flows"][0]["level"] for s in (1, 5, 50)] == ["ok", "late", "critical"]


def test_ready_only_when_everything_streams_now() -> None:
    """A dead process, another state or a silent worker is a reason each, with the error's words."""
    error = ErrorReport("a gap", "sequence 7", "load anew", "StreamError", T, False)
    assert reasons(SiteView("west", [worker()]), T) == []
    assert "a gap" in reasons(SiteView("west", [worker(state=State.STOPPED, error=error)]), T)[0]
    assert "starting" in reasons(SiteView("west", [worker(alive=False)]), T)[0]
    assert "stands still for 31 s" in reasons(SiteView("west", [worker(still_s=31)]), T)[0]
    assert "has not reported for 20 s" in reasons(SiteView("west", [worker(time_us=T - 20 * S)]), T)[0]


def test_metrics_are_valid_and_unknown_is_nan() -> None:
    """Names by Prometheus' conventions, labels escaped, worker counters with their labels, no 0 for unknown."""
    from prometheus_client.parser import text_string_to_metric_families

    counters = {"conflicts|type=insert_exists,policy=halt": 2, "rows": 5}
    stages = {"fetched": StageStatus(3), "applied": stage(2, 1)}
    view = SiteView("west", [worker(stages=stages, counters=counters, gauges={"queue_bytes": 7})])
    families = {f.name: f for f in text_string_to_metric_families(exposition(view, T).decode())}
    assert all(name.startswith("replicator_") for name in families)
    lag = {s.labels["stage"]: s.value for s in families["replicator_lag_seconds"].samples}
    assert lag["applied"] == 1.0 and lag["fetched"] != lag["fetched"]
    (conflict,) = families["replicator_conflicts"].samples
    assert conflict.name == "replicator_conflicts_total" and conflict.labels["policy"] == "halt"
    assert families["replicator_queue_bytes"].type == "gauge"
    states = {s.labels["state"]: s.value for s in families["replicator_worker_state"].samples}
    assert states["streaming"] == 1 and sum(states.values()) == 1


def test_conflicts_are_counted_by_type_policy_and_table() -> None:
    """From the applier's count to the text of /metrics; what separates labels in a counter's name becomes `_` in a table's."""
    from prometheus_client.parser import text_string_to_metric_families

    reporter = Reporter(Role.APPLIER, STREAM)
    nothing: Any = None
    resolver = Resolver(nothing, nothing, reporter, nothing)
    by_column = Record(ConflictType.INSERT_EXISTS, "latest_timestamp(updated_at)", Action.KEEP, "")
    by_hook = Record(ConflictType.UPDATE_DIFFERING, "python:shop.rules:settle", Action.WRITE_UPDATE, "")
    odd = 'shop.a,b=c|"d"'
    for record, table in ((by_column, "shop.user"), (by_column, "shop.user"), (by_column, odd), (by_hook, "shop.user")):
        resolver.count(record, table)
    view = SiteView("west", [worker(counters=reporter.snapshot().counters)])
    text = exposition(view, T).decode()
    families = {f.name: f for f in text_string_to_metric_families(text)}
    of_stream = {"pair": "shop", "origin": "east", "target": "west", "stream": "main", "role": "applier"}
    found = families["replicator_conflicts"].samples
    assert all(of_stream.items() <= sample.labels.items() for sample in found)
    assert {(s.labels["type"], s.labels["policy"], s.labels["table"]): s.value for s in found} == {
        ("insert_exists", "latest_timestamp", "shop.user"): 2,
        ("insert_exists", "latest_timestamp", 'shop.a_b_c_"d"'): 1,
        ("update_differing", "python:shop.rules:settle", "shop.user"): 1,
    }


def ask(view: SiteView, path: str, method: str = "GET") -> tuple[str, dict[str, str], str]:
    """One request to the application."""
    seen: list[tuple[str, list[tuple[str, str]]]] = []
    body = b"".join(
        application(lambda: view, lambda: T)(
            {"REQUEST_METHOD": method, "PATH_INFO": path}, lambda status, headers: seen.append((status, headers))
        )
    )
    return seen[0][0], dict(seen[0][1]), body.decode()


def test_http_answers() -> None:
    """Each path with its status; nothing but GET and HEAD; nothing may be loaded from elsewhere."""
    good, bad = SiteView("west", [worker()]), SiteView("west", [worker(alive=False)], loop_age_s=99)
    assert [ask(good, path)[0][:3] for path in ("/", "/lag", "/metrics", "/livez", "/readyz", "/x")] == [
        *["200"] * 5,
        "404",
    ]
    assert [ask(bad, path)[0][:3] for path in ("/", "/livez", "/readyz")] == ["200", "503", "503"]
    assert json.loads(ask(bad, "/readyz")[2])["reasons"]
    assert ask(good, "/lag", "POST")[0].startswith("405") and ask(good, "/lag", "HEAD")[2] == ""
    assert "default-src 'none'" in ask(good, "/")[1]["Content-Security-Policy"]


def test_the_page_escapes_everything() -> None:
    """Notes, errors, GTIDs and names are text, whatever they hold."""
    nasty = "<script>alert(1)</script>&\"'"
    error = ErrorReport(nasty, nasty, nasty, "X", T, False)
    stages = {"applied": StageStatus(1, nasty, T, T)}
    view = SiteView(nasty, [worker(error=error, stages=stages, state=State.STOPPED)], note=nasty)
    shown = page(lag_document(view, T))
    assert "<script" not in shown and "<i>" not in shown and shown.count("&lt;script&gt;") >= 6


def test_a_site_where_nothing_runs_is_not_ready() -> None:
    """A daemon that was given the wrong site or role would do nothing, and say that all is well."""
    document = lag_document(SiteView("west", [], roles="source"), T)
    assert "has its source at the site west" in document["reasons"][0]
    assert not document["ready"] and document["flows"] == [] and "No flow" in page(document)
    assert Config.model_fields["http"].default.listen.startswith("127.0.0.1")


def test_status_says_in_a_sentence_what_limits() -> None:
    """It is written while streaming, which is when it is wanted; "streaming" alone says nothing more than the state."""
    (stream,) = lag_document(SiteView("west", [worker(stages={"applied": stage(9, 1)})]), T)["flows"][0]["streams"]
    assert "    note <i>" in _stream_lines({**stream, "site": "west"})
    assert "    streaming" not in _stream_lines({**stream, "site": "west", "note": "streaming"})
