"""`replicator conflicts`: the record of conflicts and how they were settled, from the targets' databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pymysql

from conflict.types import ConflictType

from .. import meta
from ..config import StreamConfig
from ..errors import DatabaseError
from ..observe.lag import utc
from .common import json_option, print_json, table, the_only
from .scope import scope_options, scoped

__all__ = ["conflicts", "read_applied", "read_conflicts", "read_conflicts_of", "read_held"]

_COLUMNS = (
    "id, time_us, conflict, policy, decision, reason, table_name, row_key, operation, before_image, after_image,"
    " current_row, written_row, sequence, gtid, site, commit_time_us"
)


@click.group()
@scope_options
@click.pass_context
def conflicts(
    context: click.Context, config_path: Path | None, pair: str | None, flow: str | None, stream: str | None
) -> None:
    """Look at the conflicts that were met."""
    context.obj = (config_path, pair, flow, stream)


@conflicts.command(name="list")
@scope_options
@click.option("--table", "table_name", help="Only those of this table, SCHEMA.TABLE.")
@click.option("--type", "kind", type=click.Choice([str(kind) for kind in ConflictType]), help="Only those of this type.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="The newest so many.")
@json_option
@scoped
def list_conflicts(streams: list[StreamConfig], table_name: str | None, kind: str | None, limit: int, as_json: bool) -> None:
    """List conflicts, newest first."""
    where, values = "", []
    for column, value in (("table_name", table_name), ("conflict", kind)):
        if value is not None:
            where += f" AND {column}=%s"
            values.append(value)
    found = [row for stream in streams for row in read_conflicts(stream, where, values, limit)]
    found = sorted(found, key=lambda row: -row["time_us"])[:limit]
    if as_json:
        print_json(found)
        return
    keys = ("id", "stream", "time", "conflict", "table_name", "row_key", "operation", "policy", "decision")
    heads = ("ID", "STREAM", "TIME", "CONFLICT", "TABLE", "KEY", "CHANGE", "POLICY", "DECISION")
    click.echo(table(heads, ([row[key] for key in keys] for row in found)) if found else "no conflicts")


@conflicts.command()
@scope_options
@click.argument("number", type=int)
@json_option
@scoped
def show(streams: list[StreamConfig], number: int, as_json: bool) -> None:
    """Show one conflict with its row images. They may be confidential."""
    found = [row for stream in streams for row in read_conflicts(stream, " AND id=%s", [number], 1)]
    chosen = the_only([(row["stream"], row) for row in found], "conflict", number, "conflicts")
    if as_json:
        print_json(chosen)
        return
    for name, value in chosen.items():
        click.echo(f"{name:<14} {'-' if value is None else value}")


def read_conflicts(
    stream: StreamConfig, where: str, values: list[Any], limit: int, *, log: str = meta.CONFLICT_LOG
) -> Iterator[dict[str, Any]]:
    """Entries of a stream's conflict log, newest first. Raises DatabaseError."""
    sql = f"SELECT {_COLUMNS} FROM {log} WHERE flow=%s AND stream=%s{where} ORDER BY id DESC LIMIT %s"
    for row in _ask(stream, sql, [*values, limit]):
        yield {
            "id": row["id"],
            "stream": str(stream.id),
            "time": utc(row["time_us"]),
            **{name: value for name, value in row.items() if name != "id"},
            "committed": utc(row["commit_time_us"]),
        }


def read_conflicts_of(stream: StreamConfig, table_name: str, keys: Sequence[str], limit: int) -> Iterator[dict[str, Any]]:
    """Those of the rows that have one of these keys, as ``journal.key_text`` writes them. Raises DatabaseError."""
    # Found by the index by row, however large the log is: not by reading it backwards until there are enough.
    log = f"{meta.CONFLICT_LOG} IGNORE INDEX FOR ORDER BY (PRIMARY)"
    where = f" AND table_name=%s AND row_key IN ({','.join(['%s'] * len(keys))})"
    yield from read_conflicts(stream, where, [table_name, *keys], limit, log=log)


def read_held(stream: StreamConfig, table_name: str, keys: Sequence[str] = ()) -> list[dict[str, Any]]:
    """What a stream put into quarantine of a table, decided by now or not, newest first. Raises DatabaseError.

    With ``keys``, as ``journal.key_text`` writes them, only changes of rows that had one of these before or behind them.
    """
    columns = "id, time_us, row_key, new_key, operation, sequence, gtid, state, audit"
    where, marks = "flow=%s AND stream=%s AND table_name=%s", ",".join(["%s"] * len(keys))
    if keys:
        where += f" AND (row_key IN ({marks}) OR new_key IN ({marks}))"
    return _ask(stream, f"SELECT {columns} FROM {meta.QUARANTINE} WHERE {where} ORDER BY id DESC", [table_name, *keys, *keys])


def read_applied(stream: StreamConfig) -> int:
    """The sequence up to which a stream's target has applied it, 0 where nothing was. Raises DatabaseError."""
    sql = f"SELECT COALESCE(MAX(sequence), 0) AS applied FROM {meta.CHECKPOINT} WHERE flow=%s AND stream=%s"
    return next((int(row["applied"]) for row in _ask(stream, sql, [])), 0)


def _ask(stream: StreamConfig, sql: str, values: list[Any]) -> list[dict[str, Any]]:
    site = stream.target
    args = {**site.database.connect_args(), "connect_timeout": 10, "read_timeout": 60}
    try:
        connection = pymysql.connect(**args, charset="utf8mb4", cursorclass=pymysql.cursors.DictCursor)
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, (stream.id.flow, stream.id.stream, *values))
            return list(cursor.fetchall())
    except pymysql.MySQLError as error:
        if error.args and error.args[0] in meta.NOTHING_YET:  # no applier ever ran there
            return []
        raise DatabaseError(
            f"cannot read our tables: {error}", where=f"site {site.name}", remedy="check that it runs, and the grants"
        ) from error
