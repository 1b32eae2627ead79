"""Server variables: what an origin's binlog and a target's session must be like."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import DatabaseError
from .finding import Finding, error, few, warning
from .probe import Probe

__all__ = ["check_origin", "check_server", "check_target"]

_DAY_S = 86_400
_OLDEST = {"mysql": (8, 0, 1), "mariadb": (10, 5, 0)}

_TABLE_SHAPES = {
    "sql_generate_invisible_primary_key": "tables without a key get a column here that the origin's do not have",
    "sql_require_primary_key": "tables without a key are refused here",
}
"""At a target; its applier may not change them for itself."""


def check_server(probe: Probe) -> Iterator[Finding]:
    """What concerns every site."""
    place, variables = probe.name, probe.variables
    oldest = _OLDEST[probe.flavor]
    if probe.version < oldest:
        text = ".".join(map(str, oldest))
        yield error(place, f"{probe.flavor} {probe.version_text} is too old", f"upgrade it to {text} or newer")
    if variables.get("server_id", "0") == "0":
        yield error(place, "server_id is 0", "set server_id to a number of its own in my.cnf, and restart")
    for name, safe in (("sync_binlog", "1"), ("innodb_flush_log_at_trx_commit", "1")):
        value = variables.get(name, safe)
        if value != safe:
            what = f"{name} is {value}: a crash of the machine can lose commits that the other site has or counts on"
            yield warning(place, what, f"SET GLOBAL {name}={safe}; and {name}={safe} in my.cnf")


def check_origin(probe: Probe) -> Iterator[Finding]:
    """What a source needs of its binlog."""
    place, variables = probe.name, probe.variables
    if variables.get("log_bin") != "ON":
        yield error(place, "the binlog is off", "set log_bin=binlog in my.cnf, and restart")
        return
    wanted = {"binlog_format": "ROW", "binlog_row_image": "FULL", "binlog_row_metadata": "FULL"}
    for name, value in wanted.items():
        actual = variables.get(name)
        if name == "binlog_format" and actual is None:
            continue  # newer servers know nothing but ROW
        if actual != value:
            remedy = f"SET GLOBAL {name}={value}; and {name}={value} in my.cnf; sessions that are open keep the old value"
            yield error(place, f"{name} is {actual or 'unknown to this server'}, not {value}", remedy)
    if not probe.is_mariadb:
        yield from _gtids(place, variables)
    elif variables.get("gtid_strict_mode") != "ON":
        what = "gtid_strict_mode is OFF: sequence numbers may go backwards, and positions then mean nothing"
        yield warning(place, what, "SET GLOBAL gtid_strict_mode=ON; and gtid_strict_mode=ON in my.cnf")
    if variables.get("binlog_alter_two_phase") == "ON":
        what = "binlog_alter_two_phase is ON: an ALTER is logged before it ends, maybe badly, and stops the source"
        yield error(place, what, "SET GLOBAL binlog_alter_two_phase=OFF; and in my.cnf; open sessions keep the old value")
    if variables.get("binlog_checksum", "CRC32") == "NONE":
        what = "binlog_checksum is NONE: damage on the way is not noticed"
        yield warning(place, what, "SET GLOBAL binlog_checksum=CRC32; and binlog_checksum=CRC32 in my.cnf")
    updates = variables.get("log_replica_updates", variables.get("log_slave_updates", "ON"))
    if updates != "ON":
        name = "log_slave_updates" if probe.is_mariadb or probe.version < (8, 0, 26) else "log_replica_updates"
        what = f"{name} is OFF: what this server gets by native replication would be missing"
        yield warning(place, what, f"set {name}=ON in my.cnf, and restart")
    yield from _binlog_filters(probe)
    yield from _retention(probe)


def _gtids(place: str, variables: dict[str, str]) -> Iterator[Finding]:
    if variables.get("gtid_mode") != "ON":
        steps = (
            "SET GLOBAL enforce_gtid_consistency=ON; SET GLOBAL gtid_mode=OFF_PERMISSIVE; SET GLOBAL gtid_mode=ON_PERMISSIVE; "
            "SET GLOBAL gtid_mode=ON; and both in my.cnf"
        )
        yield error(place, f"gtid_mode is {variables.get('gtid_mode')}, not ON", steps)
    if variables.get("enforce_gtid_consistency") != "ON":
        yield error(
            place,
            f"enforce_gtid_consistency is {variables.get('enforce_gtid_consistency')}, not ON",
            "SET GLOBAL enforce_gtid_consistency=ON; and enforce_gtid_consistency=ON in my.cnf",
        )


def _binlog_filters(probe: Probe) -> Iterator[Finding]:
    new = not probe.is_mariadb and probe.version >= (8, 2, 0)
    try:
        rows = probe.rows("SHOW BINARY LOG STATUS" if new else "SHOW MASTER STATUS")
    except DatabaseError:
        return  # for want of the grant that the check of grants finds missing
    for row in rows:
        for name, value in zip(("binlog_do_db", "binlog_ignore_db"), row[2:4], strict=True):
            if value:
                what = f"{name}={value} keeps changes out of the binlog"
                yield error(probe.name, what, f"remove {name} from my.cnf, restart, and load the target anew; filter by tables:")


def _retention(probe: Probe) -> Iterator[Finding]:
    variables = probe.variables
    seconds = float(variables.get("binlog_expire_logs_seconds", "0") or 0)
    days = float(variables.get("expire_logs_days", "0") or 0)
    kept = seconds or days * _DAY_S
    if variables.get("binlog_expire_logs_auto_purge") == "OFF":
        return
    if 0 < kept < _DAY_S:
        what = f"binlogs are kept for {kept / 3600:g} hours only: a source that is down longer loses its place"
        name = "expire_logs_days" if "binlog_expire_logs_seconds" not in variables else "binlog_expire_logs_seconds"
        value = 7 if name == "expire_logs_days" else 7 * _DAY_S
        yield warning(probe.name, what, f"SET GLOBAL {name}={value}; and {name}={value} in my.cnf")


def check_target(probe: Probe) -> Iterator[Finding]:
    """What an applier needs."""
    for name in ("super_read_only", "read_only"):
        if probe.variables.get(name) == "ON":
            yield error(probe.name, f"{name} is ON: nothing can be applied", f"SET GLOBAL {name}=OFF")
            return
    if probe.variables.get("log_bin") == "ON" and probe.variables.get("binlog_format") == "STATEMENT":
        what = "binlog_format is STATEMENT: no row can be written with the checkpoint"
        yield error(probe.name, what, "SET GLOBAL binlog_format=ROW; and binlog_format=ROW in my.cnf")
    for name, effect in _TABLE_SHAPES.items():
        if probe.variables.get(name) == "ON":
            yield warning(probe.name, f"{name} is ON: {effect}", f"SET GLOBAL {name}=OFF; and {name}=OFF in my.cnf")
    if probe.variables.get("event_scheduler") == "ON":
        events = probe.rows("SELECT event_schema, event_name FROM information_schema.events WHERE status='ENABLED'")
        if events:
            names = few([f"{schema}.{name}" for schema, name in events], 5)
            what = f"the event scheduler runs {names} here too: what they change arrives from the origin already"
            yield warning(probe.name, what, "ALTER EVENT … DISABLE on this side, or SET GLOBAL event_scheduler=OFF")
