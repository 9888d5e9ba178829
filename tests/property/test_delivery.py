"""Any schedule of changes, crashes, zombies, outages and faults ends with the receiver knowing the final state.

And it was sent nothing twice beyond the doubts that the notice records. The seven mutants show that these schedules are
hard enough: uniformly drawn steps pass three of them.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgents_alert_notifier.delivery import decide
from support.delivery_model import KINDS, STEPS, WEIGHTS, BrokenLawError, first_broken, run
from support.delivery_mutants import MUTANTS, mutant

SCHEDULES = 20_000

weighted = st.sampled_from([step for step in STEPS for _ in range(WEIGHTS[step])])
schedules = st.lists(st.tuples(weighted, st.integers(0, 1)), min_size=5, max_size=40)


def test_no_schedule_loses_or_doubles() -> None:
    assert first_broken(decide, SCHEDULES) is None


@pytest.mark.parametrize("name", MUTANTS)
def test_a_shortcut_is_caught(name: str) -> None:
    assert first_broken(mutant(name), SCHEDULES) is not None


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KINDS), schedules)
def test_what_was_not_drawn_by_weight_alone_holds_too(kind: str, schedule: list[tuple[str, int]]) -> None:
    run(decide, kind, schedule)


def test_a_broken_schedule_says_which_law() -> None:
    found = first_broken(mutant("the end is skipped while the opening is in doubt"), SCHEDULES)
    assert found is not None
    assert isinstance(found[1], BrokenLawError)
    assert "the receiver knows revision" in str(found[1])
