"""``make bench-forms``: which form of a multi-row statement each server takes fastest, over one connection, durable.

``python -m benchmarks.forms [--flavors mysql mariadb] [--rows 20000]``. Rows of sysbench's shape (about 200 bytes), once with a
key of one column and once with one of two; 500 rows a statement, ten statements a transaction. Each form writes the same rows,
in random order, three times; the best counts. Printed is rows/s, and the ratio to what the applier sends.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from dev import DevError

from .figures import print_table, save
from .servers import Servers, execute, say, workspace

_PART = 500
_PARTS_A_COMMIT = 10
_PASSES = 3
_COLUMNS = ("a", "b", "k", "c", "pad")
_REST = ("k", "c", "pad")

Row = tuple[int, ...]
Form = Callable[[Sequence[Row]], str]


def _values(rows: Sequence[Row], *, row: str = "") -> str:
    return ",".join([f"{row}({a},{b},{k},'{'c' * 120}','{'p' * 60}')" for a, b, k in rows])


def _upsert(rows: Sequence[Row]) -> str:
    return f"INSERT INTO t VALUES {_values(rows)} ON DUPLICATE KEY UPDATE " + ",".join([f"{c}=VALUES({c})" for c in _REST])


def _upsert_alias(rows: Sequence[Row]) -> str:
    return f"INSERT INTO t VALUES {_values(rows)} AS n ON DUPLICATE KEY UPDATE " + ",".join([f"{c}=n.{c}" for c in _REST])


def _replace(rows: Sequence[Row]) -> str:
    return f"REPLACE INTO t VALUES {_values(rows)}"


def _join(values: str) -> str:
    return f"UPDATE t JOIN ({values}) n (a,b,k,c,pad) ON t.a=n.a AND t.b=n.b SET " + ",".join([f"t.{c}=n.{c}" for c in _REST])


def _join_rows(rows: Sequence[Row]) -> str:
    return _join("VALUES " + _values(rows, row="ROW"))


def _join_with(rows: Sequence[Row]) -> str:
    """MariaDB names no columns of a derived table of values."""
    names = ",".join([f"t.{c}=n.{c}" for c in _REST])
    first = _values(rows[:1])[1:-1].split(",")
    head = ",".join([f"{value} {name}" for value, name in zip(first, _COLUMNS, strict=True)])
    rest = "".join([f" UNION ALL SELECT {_values([row])[1:-1]}" for row in rows[1:]])
    return f"UPDATE t JOIN (SELECT {head}{rest}) n ON t.a=n.a AND t.b=n.b SET {names}"


def _delete_insert(rows: Sequence[Row]) -> str:
    return f"{_delete_or(rows)};INSERT INTO t VALUES {_values(rows)}"


def _in(rows: Sequence[Row]) -> str:
    return "(a,b) IN (" + ",".join([f"({a},{b})" for a, b, _ in rows]) + ")"


def _or(rows: Sequence[Row]) -> str:
    return " OR ".join([f"a={a} AND b={b}" for a, b, _ in rows])


def _one_column(rows: Sequence[Row]) -> str:
    return "a IN (" + ",".join([str(a) for a, _, _ in rows]) + ")"


def _delete_or(rows: Sequence[Row]) -> str:
    return f"DELETE FROM t WHERE {_or(rows)}"


def forms(flavor: str, two: bool) -> dict[str, tuple[Form, str]]:
    """By name: what is sent, and the name of the form that the applier uses for the same."""
    join: Form = _join_with if flavor == "mariadb" else _join_rows
    made: dict[str, tuple[Form, str]] = {
        "upsert, VALUES(c)": (_upsert, "upsert, VALUES(c)"),
        "REPLACE": (_replace, "upsert, VALUES(c)"),
        "UPDATE … JOIN of the rows": (join, "upsert, VALUES(c)"),
        "DELETE, then INSERT": (_delete_insert, "upsert, VALUES(c)"),
    }
    if flavor != "mariadb":
        made["upsert, row alias"] = (_upsert_alias, "upsert, VALUES(c)")
    keys: dict[str, Form] = {"a IN (1, …)": _one_column, "a=1 AND b=2 OR …": _or}
    if two:
        keys = {"a=1 AND b=2 OR …": _or, "(a, b) IN ((1, 2), …)": _in}
    ours = next(iter(keys))
    for name, where in keys.items():
        made[f"lock by {name}"] = (_with("SELECT pad FROM t WHERE {} FOR UPDATE", where), f"lock by {ours}")
        made[f"delete by {name}"] = (_with("DELETE FROM t WHERE {}", where), f"delete by {ours}")
    return made


def _with(statement: str, where: Form) -> Form:
    return lambda rows: statement.format(where(rows))


def measure(cursor: Any, connection: Any, rows: list[Row], form: Form, *, deletes: bool) -> float:
    """Rows a second, the best of the passes; what was deleted is put back in between."""
    best = 0.0
    for number in range(_PASSES):
        random.Random(number).shuffle(rows)
        again = [(a, b, k + 1) for a, b, k in rows]
        parts = [again[at : at + _PART] for at in range(0, len(again), _PART)]
        sql = [form(part) for part in parts]
        began = time.monotonic()
        for at, statement in enumerate(sql, 1):
            cursor.execute(statement)
            while cursor.nextset():
                pass
            if at % _PARTS_A_COMMIT == 0:
                connection.commit()
        connection.commit()
        best = max(best, len(rows) / (time.monotonic() - began))
        if deletes:
            for part in parts:
                cursor.execute(f"INSERT INTO t VALUES {_values(part)}")
            connection.commit()
        rows[:] = again
    return best


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.forms", description=__doc__)
    options.add_argument("--flavors", nargs="+", default=["mysql", "mariadb"], choices=["mysql", "mysql97", "mariadb"])
    options.add_argument("--rows", type=int, default=20_000)
    chosen = options.parse_args()
    figures: list[dict[str, Any]] = []
    try:
        for flavor in chosen.flavors:
            with workspace("forms") as (folder, stack):
                server = Servers(flavor, folder, stack).fresh()
                execute(server, "CREATE DATABASE bench")
                for two in (False, True):
                    figures += _of_key(server, flavor, two, chosen.rows)
    except DevError as error:
        print(error, file=sys.stderr)
        return 1
    head = ("server", "key", "form", "rows/s", "of ours")
    print_table(head, [(f["server"], f["key"], f["form"], f"{f['rows_per_s']:,.0f}", f"{f['ratio']:.2f}") for f in figures])
    save("forms", figures)
    return 0


def _of_key(server: Any, flavor: str, two: bool, count: int) -> list[dict[str, Any]]:
    key = "a, b" if two else "a"
    with server.connect(database="bench", autocommit=False, client_flag=1 << 16) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute("DROP TABLE IF EXISTS t")
        columns = "a INT NOT NULL, b INT NOT NULL, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL"
        cursor.execute(f"CREATE TABLE t ({columns}, PRIMARY KEY ({key}), KEY (k))")
        rows: list[Row] = [(i // 100 if two else i, i % 100, i % 1000) for i in range(count)]
        for at in range(0, count, _PART):
            cursor.execute(f"INSERT INTO t VALUES {_values(rows[at : at + _PART])}")
        connection.commit()
        cursor.execute("ANALYZE TABLE t")
        rates = {}
        made = forms(flavor, two)
        for name, (form, _) in made.items():
            rates[name] = measure(cursor, connection, rows, form, deletes=name.startswith("delete"))
            say(f"{flavor}, key {key}, {name}: {rates[name]:,.0f} rows/s")
    return [
        {"server": flavor, "key": key, "form": name, "rows_per_s": rate, "ratio": rate / rates[made[name][1]]}
        for name, rate in rates.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
