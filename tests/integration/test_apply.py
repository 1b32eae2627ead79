"""What the applier must not do: act through triggers, forget where it is after a statement, write behind a waiting conflict."""

from __future__ import annotations

import pytest

from tests.harness import Pairs, execute

pytestmark = pytest.mark.servers


def test_an_unguarded_trigger_at_the_target_stops_the_flow(pairs: Pairs, flavor: str) -> None:
    """It would act a second time on what already arrived: the flow stops, and goes on once the trigger is guarded."""
    pair = pairs(flavor, flavor)
    for table in ("t (id INT PRIMARY KEY)", "log (id INT PRIMARY KEY AUTO_INCREMENT, t INT)"):
        execute(pair.origin, f"CREATE TABLE {pair.name}.{table}")
    pair.start()
    pair.settle()
    trigger = f"CREATE TRIGGER {pair.name}.tr AFTER INSERT ON {pair.name}.t FOR EACH ROW"
    body = f"INSERT INTO {pair.name}.log (t) VALUES (NEW.id)"
    execute(pair.target, f"{trigger} {body}")
    execute(pair.origin, f"ALTER TABLE {pair.name}.t COMMENT 'the applier looks at the table again'")
    execute(pair.origin, f"INSERT INTO {pair.name}.t VALUES (1)")
    error = pair.wait_stopped("west", "applier")
    assert "triggers that would act twice: tr" in error["what"] and "guard" in error["remedy"]
    execute(pair.target, f"DROP TRIGGER {pair.name}.tr", f"{trigger} IF @replicator_applying IS NULL THEN {body}; END IF")
    assert pair.command("resume", "--pair", pair.name).returncode == 0
    pair.settle()
    assert pair.differences() == []


def test_the_position_stands_behind_a_statement_at_once(pairs: Pairs, flavor: str) -> None:
    """`wait` for a DDL statement returns, and the checkpoint's sequence never goes back afterwards."""
    pair = pairs(flavor, flavor)
    pair.start()
    for number in range(3):
        execute(pair.origin, f"CREATE TABLE {pair.name}.t{number} (id INT PRIMARY KEY)")
        pair.wait(30)
        (stream,) = pair.lag("west")["flows"][0]["streams"]
        assert stream["stages"]["applied"]["sequence"] == number + 1
        checkpoint = f"SELECT MAX(sequence) FROM replicator.checkpoint WHERE flow='{pair.flow}'"
        assert execute(pair.target, checkpoint)[0][0] == number + 1
