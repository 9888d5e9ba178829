"""Laws of health over time: whatever a state does, alerts are calm, end with the last state, and survive restarts."""

from datetime import timedelta
from itertools import takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgents_health_scorer.recurrence import CALM_S
from kgents_shared.contract.entity import STATUSES, Value
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary.attributes import kubernetes, otel
from support.alert_log import AlertLog
from support.health_inputs import Watch, at, entity
from support.restarted import restarted

pytestmark = pytest.mark.property

HOUR_S = 3_600.0
BEGINS_MAX = 2 + 1 + round(HOUR_S / CALM_S)
"""Two that end at once, then each lasts for the calm time."""
PHASES = (None, "Running", "Failed")
REASONS = ("", "Error", "CrashLoopBackOff", "OOMKilled", "ImagePullBackOff", "NotReady", "Evicted")

Step = tuple[float, str, str, str | None, int]
"""Seconds since the step before, status, reason, phase of the pod, restarts since then."""

steps: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from([1.0, 7.0, 20.0, 61.0, 290.0, 301.0, 700.0, 899.0, 901.0, 1_700.0]),
        st.sampled_from(STATUSES),
        st.sampled_from(REASONS),
        st.sampled_from(PHASES),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=60,
)


def states_of(schedule: list[Step]) -> list[TopologyEntity]:
    """The pod after each step."""
    found, at_s, restarts = [], 0.0, 0
    for wait_s, status, reason, phase, more in schedule:
        at_s += wait_s
        restarts += more
        attributes: dict[str, Value] = {otel.K8S_POD_UID: "u1", kubernetes.POD_RESTART_COUNT: restarts}
        if phase is not None:
            attributes[otel.K8S_POD_STATUS_PHASE] = phase
        if restarts:
            last = "OOMKilled" if reason == "OOMKilled" else "Error"
            attributes[kubernetes.POD_STATUS_LAST_TERMINATED_REASON] = last
        found.append(entity(status=status, reason=reason, uid="u1", attributes=attributes, at_s=at_s))
    return found


def seconds(state: TopologyEntity) -> float:
    assert state.at is not None
    return (state.at - at(0)) / timedelta(seconds=1)


def pass_time(watch: Watch, log: AlertLog, since_s: float, until_s: float) -> None:
    """Let the scorer look at the time whenever something is due, as its ticks do, but not oftener than needed."""
    for at_s in {*(since_s + CALM_S * part for part in (1 / 3, 1, 2)), until_s}:
        if since_s < at_s <= until_s:
            log.note(at_s, watch.tick(at_s))


def play(states: list[TopologyEntity], restart_after: frozenset[int] = frozenset()) -> tuple[Watch, AlertLog]:
    watch, log, now_s = Watch(), AlertLog(), 0.0
    for number, state in enumerate(states):
        pass_time(watch, log, now_s, now_s := seconds(state))
        log.note(now_s, watch.entity(state, now_s))
        if number in restart_after:
            watch = restarted(watch, [state], at(now_s))
            assert watch.published.write(watch.scorer.take()) == []
    return watch, log


@settings(max_examples=200)
@given(steps)
def test_no_schedule_of_states_makes_an_alert_change_more_often_than_stated(schedule: list[Step]) -> None:
    _, log = play(states_of(schedule))
    assert log.most_within(HOUR_S) <= 2 * BEGINS_MAX


@given(steps, st.floats(1.0, 120.0), st.integers(100, 150))
def test_no_rate_of_a_schedule_makes_an_alert_change_more_often_than_stated(
    schedule: list[Step], wait_s: float, number: int
) -> None:
    repeated = [(wait_s, *rest) for _, *rest in (schedule * number)[:number]]
    _, log = play(states_of(repeated))  # type: ignore[arg-type]
    assert log.most_within(HOUR_S) <= 2 * BEGINS_MAX


@settings(max_examples=200)
@given(steps)
def test_what_is_stable_for_the_calm_time_is_judged_as_if_it_had_never_been_otherwise(schedule: list[Step]) -> None:
    states = states_of(schedule)
    watch, _ = play(states)
    end_s = seconds(states[-1]) + CALM_S
    watch.tick(end_s)
    fresh = Watch()
    for state in reversed([*takewhile(lambda each: each.status == states[-1].status, reversed(states))]):
        fresh.entity(state, seconds(state))
    fresh.tick(end_s)
    assert sorted(watch.checks()) == sorted(fresh.checks())
    assert (watch.health().level == "healthy") == (fresh.health().level == "healthy")


@settings(max_examples=200)
@given(steps, st.frozensets(st.integers(0, 59)))
def test_restarts_of_the_scorer_change_nothing(schedule: list[Step], restart_after: frozenset[int]) -> None:
    states = states_of(schedule)
    watch, log = play(states)
    again, other = play(states, restart_after)
    assert other.changes == log.changes
    assert again.published.health == watch.published.health
    assert again.published.alerts == watch.published.alerts
