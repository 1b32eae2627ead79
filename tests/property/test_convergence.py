"""Sites that all write end equal, under the policies and conditions that are documented to converge; others visibly do not."""

from __future__ import annotations

from collections import Counter

import pytest

import conflict.stamps
from conflict import Provenance
from tests.property.profiles import ALIKE, CONVERGING, DIVERGING, Profile
from tests.property.simulation import Manner, compare, find_failure, main, run_schedule

MANNERS = (
    Manner(together=False, refusals=0, troubles=False),
    Manner(together=True, refusals=0, troubles=False),
    Manner(together=True, refusals=1, troubles=False),
    Manner(together=True, refusals=2, troubles=False),
)
SCHEDULES = 2000
"""Over all converging profiles together; ``python -m tests.property.simulation`` runs as many as wanted."""


@pytest.mark.parametrize("profile", CONVERGING, ids=lambda p: p.name)
def test_sites_end_equal(profile: Profile) -> None:
    """Whatever the interleaving, delays, crashes and repetitions: after everything is delivered, all sites hold the same."""
    failure = find_failure(profile, first_seed=0, count=-(-SCHEDULES // len(CONVERGING)))
    assert failure is None, f"profile {profile.name!r}, seed {failure[0]}: {failure[1].problem}: {failure[1].rows}"


@pytest.mark.parametrize("profile", DIVERGING, ids=lambda p: p.name)
def test_a_counterexample_shows_what_does_not_converge(profile: Profile) -> None:
    """What is documented not to converge does not: the documentation claims neither too much nor too little."""
    failure = find_failure(profile, first_seed=0, count=500)
    assert failure is not None, f"no schedule of {profile.name!r} shows that it diverges"
    assert "differ" in failure[1].problem, failure[1].problem


@pytest.mark.parametrize("profile", CONVERGING, ids=lambda p: p.name)
def test_conflicts_happen(profile: Profile) -> None:
    """A profile whose schedules had no conflicts, or whose batches all took one way, would prove nothing."""
    outcomes = [run_schedule(profile, seed) for seed in range(20)]
    assert sum(o.transactions for o in outcomes) > 200
    assert sum(o.decisions for o in outcomes) > 10
    ways = sum((o.counted for o in outcomes), Counter())
    assert ways["of several"] > 20 and ways["as planned"] > 20 and ways["as a whole"] > 20 and ways["in parts"] > 5, ways


@pytest.mark.parametrize("profile", [*CONVERGING, *ALIKE], ids=lambda p: p.name)
def test_batches_come_to_what_single_changes_come_to(profile: Profile) -> None:
    """Merged, settled as a whole, or by parts, of one transaction or several: the same rows, records and held changes."""
    for seed in range(20_000, 20_008):
        assert compare(profile, seed, *MANNERS) == "", f"profile {profile.name!r}, seed {seed}"


@pytest.fixture
def broken_tie_break(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal commit times are decided for whoever came second, as a comparison without a tie-break does."""

    def by_time_only(provenance: Provenance, *, by_time: bool = True) -> tuple[int, int, str]:
        return (provenance.commit_time_us if by_time else 0, 0, "")

    monkeypatch.setattr(conflict.stamps, "stamp", by_time_only)


@pytest.mark.usefixtures("broken_tie_break")
def test_a_broken_tie_break_is_caught() -> None:
    """Without the priority and the name in the stamp, sites keep what came first on equal times, and differ."""
    profile = next(p for p in CONVERGING if p.name == "latest, three sites, equal commit times")
    failure = find_failure(profile, first_seed=0, count=100)
    assert failure is not None
    assert "differ" in failure[1].problem


@pytest.mark.usefixtures("broken_tie_break")
def test_the_command_prints_the_seed_of_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """The command ends with 1 and names profile and seed, and that very seed fails again."""
    assert main(["--jobs", "1", "--schedules", "100", "--profile", "latest, three sites, equal"]) == 1
    printed = capsys.readouterr().out
    assert "FAILED  latest, three sites, equal commit times: seed " in printed
    seed = int(printed.split("seed ")[1].split(":")[0])
    profile = next(p for p in CONVERGING if p.name == "latest, three sites, equal commit times")
    assert run_schedule(profile, seed).problem
