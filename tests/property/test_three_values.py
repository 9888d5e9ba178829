"""A figure is a number, not known (null) or does not apply (absent): no check is stuck in a finding."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from kgents_health_scorer.checks import CATALOGUE, PROFILES
from kgents_health_scorer.checks.check import RestartCheck, SampleCheck, State
from kgents_health_scorer.reducer import Scorer
from kgents_health_scorer.source import SKEW
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import ALERT, HEALTH, PULSE, encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health
from kgents_shared.contract.pulse import ALL, DatabasePulse, Pulse, ResourcePulse
from kgents_shared.contract.topology import TopologyEntity
from support.check_cases import DISCARD_NEW, PULSES, STATES
from support.health_inputs import INTERVAL_S, POD, Published, at, entity

pytestmark = pytest.mark.property

EVERY = [*CATALOGUE, *(check for checks in PROFILES.values() for check in checks)]
SAMPLED = {check.id: check for check in EVERY if isinstance(check, SampleCheck)}
UNKNOWN = "KG-007"
PATIENCE_S = 300.0
AFTER_ROLE_CHANGE: dict[str, float | None] = {"standbys": 1.0, "replicas": 1.0, "slots": 0.0}
"""What a promoted server measures of its replication."""

check_ids = st.sampled_from(sorted(SAMPLED))
given_values = st.lists(st.sampled_from(["beyond", "short", "null", "unread", "absent", "role"]), max_size=12)


def of(check_id: str, value: str, at_s: float) -> Pulse:
    """A pulse in which the figure of a check has this value, as a reader has it from the wire."""
    beyond, short = (structs.replace(each, timestamp=at(at_s), interval_s=INTERVAL_S) for each in PULSES[check_id])
    match value:
        case "beyond":
            found: Pulse = beyond
        case "short":
            found = short
        case "null":
            found = _null(beyond)
        case "unread":
            found = _without(beyond, [ALL], {})
        case "absent":
            found = _without(beyond, [], {})
        case _:
            found = _without(beyond, [], AFTER_ROLE_CHANGE)
    return PULSE.decode(encode(found))


def _null(pulse: Pulse) -> Pulse:
    custom = dict.fromkeys(pulse.custom)
    if isinstance(pulse, DatabasePulse):
        return structs.replace(pulse, custom=custom, replication=dict.fromkeys(pulse.replication))
    names = [name for name in ("cpu_percent", "memory_bytes", "memory_limit_bytes") if getattr(pulse, name) is not None]
    return structs.replace(pulse, custom=custom, unread=names, **dict.fromkeys(names))


def _without(pulse: Pulse, unread: list[str], replication: dict[str, float | None]) -> Pulse:
    if isinstance(pulse, DatabasePulse):
        return structs.replace(pulse, custom={}, replication=replication, unread=unread)
    return ResourcePulse(
        ref=pulse.ref, source=pulse.source, timestamp=pulse.timestamp, interval_s=INTERVAL_S, unread=unread
    )


class Story:
    """One entity of a kind to which a check applies, and a scorer that sees its pulses."""

    def __init__(self, check_id: str) -> None:
        self.check = SAMPLED[check_id]
        self.ref = Ref("c1", next(iter(sorted(self.check.applies_to)), "pod"), "x")
        self.at_s = 0.0
        self.scorer, self.published = Scorer(EVERY), Published()
        self.scorer.on_topology(self.entity(), self.ref, now=at(0), evidence="T:1")
        self.published.write(self.scorer.take())

    def entity(self, uid: str = "") -> TopologyEntity:
        return entity(self.ref, attributes=DISCARD_NEW, uid=uid)

    def pulses(self, *values: str) -> None:
        for value in values:
            self.at_s += INTERVAL_S
            self.pulse(of(self.check.id, value, self.at_s))

    def pulse(self, pulse: Pulse, *, now: datetime | None = None) -> list[Health | Alert]:
        pulse = structs.replace(pulse, ref=self.ref)
        self.scorer.on_pulse(pulse, now=now or pulse.timestamp, evidence=f"P:{self.at_s}")
        return self.published.write(self.scorer.take())

    def reasons(self) -> set[str]:
        return {reason.check for reason in self.published.health[self.ref].reasons}

    def open(self) -> set[str]:
        return {check for (_, check), alert in self.published.alerts.items() if alert.state != "resolved"}

    def is_open(self) -> bool:
        return self.check.id in self.reasons() | self.open()


@pytest.mark.parametrize("end", ["absent", "role"])
@given(check_ids, given_values)
def test_what_does_not_apply_any_more_ends_its_finding_at_once(end: str, check_id: str, before: list[str]) -> None:
    story = Story(check_id)
    story.pulses(*before, "beyond", "beyond", "beyond")
    assert check_id in story.reasons()
    story.pulses(end)
    assert not story.reasons() & {check_id, UNKNOWN}
    assert not story.open()


@pytest.mark.parametrize("gap", ["null", "unread"])
@given(check_ids, given_values)
def test_what_is_not_known_keeps_its_finding_for_a_while_and_is_then_unknown(
    gap: str, check_id: str, before: list[str]
) -> None:
    story = Story(check_id)
    story.pulses(*before, "beyond", "beyond", "beyond")
    others = int(PATIENCE_S / INTERVAL_S)
    story.pulses(*[gap] * others)
    assert check_id in story.reasons()
    story.pulses(gap)
    assert not story.is_open()
    health = story.published.health[story.ref]
    assert health.level == "unknown"
    assert story.check.figure in next(reason.text for reason in health.reasons if reason.check == UNKNOWN)
    story.pulses("short")
    assert UNKNOWN not in story.reasons()


@given(check_ids, st.sampled_from(["null", "unread"]))
def test_a_figure_without_a_finding_that_is_not_known_is_no_finding(check_id: str, gap: str) -> None:
    story = Story(check_id)
    story.pulses(*["short"] * 3, *[gap] * 60)
    assert not story.is_open()
    # Another check of the same figure may have a lower threshold.
    assert f"({check_id})" not in " ".join(reason.text for reason in story.published.health[story.ref].reasons)


@given(check_ids, given_values)
@example("KG-102", ["beyond", "unread"])
def test_a_restart_publishes_nothing_for_any_of_the_three_values(check_id: str, values: list[str]) -> None:
    story = Story(check_id)
    story.pulses(*values, *(["null"] * 40 if "null" in values else []))
    again = Scorer(EVERY)
    for row in story.published.health.values():
        again.restore_health(HEALTH.decode(encode(row)))
    for alert in story.published.alerts.values():
        again.restore_alert(ALERT.decode(encode(alert)))
    again.on_topology(story.entity(), story.ref, now=at(0), evidence="T:1")
    last = (["null"] if "null" in values else values)[-1:]
    for value in last:
        again.on_pulse(
            structs.replace(of(check_id, value, story.at_s), ref=story.ref), now=at(story.at_s), evidence="P"
        )
    again.caught_up(at(story.at_s))
    assert story.published.write(again.take()) == []


@given(check_ids, st.sampled_from(["short", "absent", "null"]), st.sampled_from(["old", "future", "other uid"]))
def test_a_pulse_from_another_time_or_incarnation_changes_nothing(check_id: str, value: str, where: str) -> None:
    story = Story(check_id)
    story.scorer.on_topology(story.entity("b"), story.ref, now=at(0), evidence="T:1")
    for at_s in (10.0, 20.0, 30.0):
        story.pulse(structs.replace(of(check_id, "beyond", at_s), uid="b"))
    assert check_id in story.reasons()
    late_s = {"old": 25.0, "future": 40 + SKEW.total_seconds() + 1, "other uid": 40.0}[where]
    strange = structs.replace(of(check_id, value, late_s), uid="a" if where == "other uid" else "b")
    for _ in range(4):
        assert story.pulse(strange, now=at(40)) == []
    # Nor do later ones count for less.
    story.pulse(structs.replace(of(check_id, "absent", 50), uid="b"))
    assert not story.is_open()


@given(check_ids, st.integers(1, 20))
def test_a_reading_that_is_repeated_counts_once(check_id: str, times: int) -> None:
    story = Story(check_id)
    read_at = {story.check.figure: at(1)}
    for _ in range(times):
        story.at_s += INTERVAL_S
        story.pulse(structs.replace(of(check_id, "beyond", story.at_s), read_at=read_at))
    assert check_id not in story.reasons()
    story.at_s += INTERVAL_S
    story.pulse(structs.replace(of(check_id, "beyond", story.at_s), read_at={story.check.figure: at(story.at_s)}))
    assert check_id in story.reasons()


RESTARTS = {each.id for each in EVERY if isinstance(each, RestartCheck)}  # lasts for the calm time

OF_THE_ENTITY = sorted(
    check_id
    for check_id, cases in STATES.items()
    if all(each == State(each.entity, 0, ()) for each in cases) and check_id not in RESTARTS
)


@pytest.mark.parametrize("check_id", OF_THE_ENTITY)
def test_a_state_that_ends_ends_its_finding(check_id: str) -> None:
    kind = next(iter(sorted(next(check.applies_to for check in EVERY if check.id == check_id))), "pod")
    ref, scorer, published = Ref("c1", kind, "x"), Scorer(EVERY), Published()
    found = []
    for number, state in enumerate(STATES[check_id]):
        scorer.on_topology(structs.replace(state.entity, ref=ref), ref, now=at(number), evidence="T")
        published.write(scorer.take())
        found.append(check_id in {reason.check for reason in published.health[ref].reasons})
    assert found == [True, False]


def test_checks_that_do_not_apply_are_not_counted() -> None:
    def counted(check_ids_: Iterable[str]) -> tuple[int, int]:
        story = Story("KG-301")
        custom = {name: value for each in check_ids_ for name, value in PULSES[each][1].custom.items()}
        story.pulse(structs.replace(of("KG-301", "absent", 10), custom=custom))
        health = story.published.health[story.ref]
        return health.evaluated, health.applicable

    by_status = counted([])[0]
    assert counted([]) == (by_status, by_status)
    assert counted(["KG-301", "KG-302"]) == (by_status + 2, by_status + 2)


def test_a_pulse_of_the_next_incarnation_counts_once_the_topology_has_it() -> None:
    story = Story("KG-101")
    assert story.ref.kind == POD.kind
    story.scorer.on_topology(story.entity("a"), story.ref, now=at(0), evidence="T:1")
    for at_s in (10.0, 20.0):
        story.pulse(structs.replace(of("KG-101", "beyond", at_s), uid="b"))
    assert "KG-101" not in story.reasons()
    story.scorer.on_topology(story.entity("b"), story.ref, now=at(0) + timedelta(seconds=25), evidence="T:2")
    story.published.write(story.scorer.take())
    assert "KG-101" in story.reasons()
