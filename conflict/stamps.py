"""Which version of a row is newer, and whether one was made in knowledge of the other.

Commit times order versions that were made without knowledge of each other; they must not overrule knowledge, because
clocks differ. Where the origin tells how far it had applied the other sites' streams, knowledge is exact.
"""

from __future__ import annotations

from collections.abc import Mapping

from .types import Provenance

__all__ = ["is_unseen", "later"]


def later(a: Provenance | None, b: Provenance | None) -> Provenance | None:
    """The one with the bigger stamp; an unknown one counts as older."""
    if a is None or b is None:
        return b if a is None else a
    return b if b.stamp > a.stamp else a


def is_unseen(local: Provenance, origin_site: str, seen: Mapping[str, int]) -> bool:
    """Whether a change was made without knowledge of a local version.

    ``seen`` maps each other site to the sequence up to which ``origin_site`` had applied that site's stream when it
    committed the change. A site always knows its own versions.
    """
    return local.site != origin_site and local.sequence > seen.get(local.site, 0)
