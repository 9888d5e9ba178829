"""Any schedule of changes, crashes, zombies, outages and faults ends with the receiver knowing the final state.

And it was sent nothing twice beyond the doubts that the notice records. The seven mutants show that these schedules are
hard enough: uniformly drawn steps pass three of them.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from kgents_alert_notifier.delivery import decide
from kgents_alert_notifier.delivery.outcome import Delivered, InDoubt, NotSent, Outcome
from kgents_alert_notifier.delivery.target import target_of
from kgents_alert_notifier.routing.router import Wanted
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.notice import Notice
from support.delivery_model import KINDS, STEPS, WEIGHTS, BrokenLawError, first_broken, run
from support.delivery_mutants import MUTANTS, mutant
from support.incident_facts import incident

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


CHANGES = {"grow": "", "ack": "acknowledged", "unack": "open"}
OUTCOMES: dict[str, Outcome] = {"taken": Delivered(), "in doubt": InDoubt("reset"), "limited": NotSent("HTTP 429")}
one_change = st.tuples(st.sampled_from(sorted(CHANGES)), st.booleans(), st.sampled_from(sorted(OUTCOMES)))


@settings(max_examples=500, deadline=None)
@given(st.lists(one_change, max_size=8), st.sampled_from(["acknowledged", "resolved"]))
def test_who_may_know_of_an_opening_knows_what_calms_it_whatever_the_routes_say(
    changes: list[tuple[str, bool, str]], last: str
) -> None:
    known = Notice(text="", cluster="test", receiver="mail", incident="i")
    now = incident(revision=1)
    for change, is_named, outcome in changes:
        now = structs.replace(now, revision=now.revision + 1, state=CHANGES[change] or now.state)
        known = informed(known, now, OUTCOMES[outcome], is_named=is_named)
    knows = bool(known.delivered or known.unconfirmed)
    known = informed(known, structs.replace(now, revision=now.revision + 1, state=last), Delivered(), is_named=False)
    assert (known.delivered_state, known.unconfirmed) == (last if knows else "", 0)


def informed(known: Notice, now: Incident, outcome: Outcome, *, is_named: bool) -> Notice:
    target = target_of(now, Wanted(now.revision) if is_named else None, known)
    if target is None or not decide.is_news(known, target.desired):
        return known
    return decide.settled(decide.intended(known, now.revision), target.desired, outcome)
