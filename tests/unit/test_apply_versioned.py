"""Of a system-versioned table only what happens to current rows is applied."""

from __future__ import annotations

from replicator.apply.versioned import current_rows

_NEVER, _PAST = b"'2038-01-19 03:14:07.999999'", b"'2024-01-01 00:00:00.000000'"


def test_history_becomes_changes_of_current_rows() -> None:
    """An update stays, its history row goes, and a row that ends is a delete; texts and literals alike."""
    for form in (lambda x: x, lambda x: x.strip(b"'")):
        never, past = form(_NEVER), form(_PAST)
        rows = [
            (None, (b"1", never)),
            (None, (b"1", past)),
            ((b"1", never), (b"2", never)),
            ((b"2", never), (b"2", past)),
            ((b"2", past), None),
        ]
        decode = current_rows(lambda kind, payload, rows=rows: rows, 1)
        assert decode(24, b"") == [(None, (b"1", never)), ((b"1", never), (b"2", never)), ((b"2", never), None)]
