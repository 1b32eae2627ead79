"""Plans of a small table, and changes of it, for tests without servers."""

from __future__ import annotations

from collections.abc import Sequence

from replicator.apply.batch import Change, kind_of
from replicator.apply.plan import TablePlan, make_plan
from replicator.apply.target import ForeignKey, TargetColumn, TargetTable

__all__ = ["change", "plan"]

_LONG, _VARCHAR = 3, 15


def plan(
    *,
    text_key: bool = False,
    children: tuple[ForeignKey, ...] = (),
    collation: str = "utf8mb4_general_ci",
    primary: tuple[str, ...] = ("k",),
    uniques: Sequence[tuple[str, ...]] = (("u",),),
    generated: Sequence[str] = (),
    full: bool = True,
    key_length: int = 120,
) -> TablePlan:
    """Of a table ``t (k, u, v)`` with the primary key ``k`` and the unique key ``u``.

    ``generated`` names columns that the target generates; one called ``g`` only the target has.
    """
    kinds = (_VARCHAR if text_key else _LONG, _LONG, _LONG)
    types = bytes(kinds)
    meta = b"".join([key_length.to_bytes(2, "little") for kind in kinds if kind == _VARCHAR])
    names = b"".join([bytes([1]) + name for name in (b"k", b"u", b"v")])
    extras = bytes([4, len(names)]) + names + bytes([1, 1, 0]) + bytes([2, 1, 45]) + bytes([8, 1, 0])
    body = b"\x01d\x00\x01t\x00" + bytes([len(types)]) + types + bytes([len(meta)]) + meta + b"\x06" + extras
    kind, charset = (f"varchar({key_length // 4})", "utf8mb4") if text_key else ("int", "")
    columns = (
        TargetColumn("k", kind, False, False, False, charset and collation, charset),
        *[TargetColumn(name, "int", name in generated, True, True, "", "") for name in ("u", "v")],
        *[TargetColumn("g", "int", True, True, True, "", "")] * ("g" in generated),
    )
    not_null = () if primary else ("k",)
    target = TargetTable("d", "t", columns, primary, tuple(uniques), False, not_null, (), children)
    return make_plan(body, "mysql", target, full=full)


def change(of: TablePlan, before: tuple[bytes | None, ...] | None, after: tuple[bytes | None, ...] | None) -> Change:
    """Given as texts."""

    def literals(texts: tuple[bytes | None, ...] | None) -> tuple[bytes, ...] | None:
        return None if texts is None else tuple([b"NULL" if t is None else b"'%b'" % t for t in texts])

    return Change(of, kind_of(before, after), literals(before), literals(after), before, after)
