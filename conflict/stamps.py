"""Which version is newer, what one change touches, and whether one was made in knowledge of the other.

**Registers.** Every value of the primary key, and every value of each unique key, is a register that remembers who wrote it
last. A change touches the register of its row's identity (both, if it moves the row) and those of the unique values that
its after image takes. A row lives exactly as long as nobody wrote to any of its registers after it. That makes the outcome
a function of the *set* of changes and not of the order in which they arrive: the same as if all of them had been executed
in the order of their stamps, each displacing what it collides with. So the memory of a register must outlive its row.

**Stamps** order versions that were made without knowledge of each other: by commit time, then by site priority (the lower
number is the newer), then by site name (the alphabetically first is the newer). Knowledge overrules stamps, because clocks
differ: a change made in knowledge of a version supersedes it, and so does a later one of the same site.
"""

from __future__ import annotations

from collections.abc import Mapping

from .table import TableInfo
from .types import Change, Provenance, Row, key_of

__all__ = ["Register", "is_unseen", "registers", "stamp", "supersedes"]

Register = tuple[tuple[int, ...], Row]
"""The ordinals of a key, and the values there."""


def stamp(provenance: Provenance, *, by_time: bool = True) -> tuple[int, int, str]:
    """Orders versions alike at every site; bigger is newer. ``by_time=False`` leaves the commit time out."""
    time_us = provenance.commit_time_us if by_time else 0
    return (time_us, -provenance.priority, _inverted(provenance.site))


def supersedes(new: Provenance, old: Provenance | None, *, unseen: bool | None = None, by_time: bool = True) -> bool:
    """Whether the arriving version ``new`` is newer than the remembered ``old``.

    ``unseen`` says whether ``new`` was made without knowledge of ``old`` (see ``types.LocalRow``).
    """
    if old is None or unseen is False or new.site == old.site:
        return True
    return stamp(new, by_time=by_time) > stamp(old, by_time=by_time)


def registers(change: Change, table: TableInfo) -> tuple[Register, ...]:
    """The registers that a change touches: where its writer has to be remembered.

    A unique value that holds a NULL collides with nothing and is left out.
    """
    found: list[Register] = []
    for image in (change.before, change.after):
        if image is not None:
            identity = (table.key, key_of(image, table.key))
            if identity not in found:
                found.append(identity)
    if change.after is not None:
        for key in table.unique_keys:
            values = key_of(change.after, key)
            if None not in values:
                found.append((key, values))
    return tuple(found)


def is_unseen(local: Provenance, origin_site: str, seen: Mapping[str, int]) -> bool:
    """Whether a change was made without knowledge of a local version.

    ``seen`` maps each other site to the sequence up to which ``origin_site`` had applied that site's stream when it
    committed the change. A site always knows its own versions.
    """
    return local.site != origin_site and local.sequence > seen.get(local.site, 0)


def _inverted(name: str) -> str:
    """A text that sorts the other way round; a shorter prefix becomes the bigger one by the final marker."""
    return "".join([chr(0x10FFFF - ord(c)) for c in name]) + "\U0010ffff"
