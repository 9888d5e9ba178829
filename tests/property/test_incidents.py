"""The laws of grouping, for any world and any order; and that each of them is checked: mutants break them.

- The groups do not depend on the order in which alerts come.
- Two entities without a path between them are in no incident together.
- What was published keeps its id and its members, and is never renamed or merged; its timeline has each decision.
- A restart at any moment publishes nothing, and changes nothing of what is published later.
- At rest nothing is published.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import structs

from kgents_alert_notifier.grouping import decided, election, explain, lifecycle, reducer
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.silence import Matcher, Silence
from kgents_shared.contract.topology import TopologyEntity
from support.build import NOW, make_ref
from support.decisions import make_silence
from support.grouping import Grouped, alert, entity, make_database, make_node, workload

pytestmark = pytest.mark.property

NAMES = ("a", "b", "c", "d")
NODES = [make_node(name) for name in ("n1", "n2")]
DATABASES = [make_database(name) for name in ("x", "y", "z")]
DEPLOYMENTS = [make_ref(name, kind="deployment") for name in NAMES]
PODS = [make_ref(f"{name}-{number}") for name in NAMES for number in range(2)]
SERVICES = [make_ref(name, kind="service") for name in NAMES]
CHECKS: dict[str, tuple[str, ...]] = {
    "node": ("KG-044", "KG-047"),
    "database": ("KG-001", "KG-304", "KG-324"),
    "deployment": ("KG-041", "KG-052"),
    "pod": ("KG-043", "KG-020", "KG-021", "KG-001"),
    "service": ("KG-040",),
}
ENTITIES = [*NODES, *DATABASES, *DEPLOYMENTS, *PODS, *SERVICES]


@st.composite
def worlds(draw: st.DrawFn) -> list[TopologyEntity]:
    """Four workloads on two nodes that need some of three databases, which may need one another."""
    found = [entity(node) for node in NODES]
    for database in DATABASES:
        needs = draw(st.lists(st.sampled_from(DATABASES), max_size=2, unique=True))
        found.append(entity(database, *(("depends", each) for each in needs if each != database)))
    for name in NAMES:
        needs = draw(st.lists(st.sampled_from([*DATABASES, *SERVICES]), max_size=2, unique=True))
        found += workload(name, node=draw(st.sampled_from(["n1", "n2"])), needs=needs)
    return found


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    ref = draw(st.sampled_from(ENTITIES))
    check = draw(st.sampled_from(CHECKS[ref.kind]))
    at = NOW + timedelta(seconds=draw(st.integers(0, 25)))
    return alert(ref, check, at, severity=draw(st.sampled_from(["warning", "critical"])))


def around(name: str) -> list[tuple[Ref, str]]:
    """Alerts of one workload and the nodes, of which some may be explained in several ways."""
    first, second = (make_ref(f"{name}-{number}") for number in range(2))
    deployment, service = make_ref(name, kind="deployment"), make_ref(name, kind="service")
    of_pods = [(each, check) for each in (first, second) for check in ("KG-021", "KG-043")]
    return [(service, "KG-040"), (deployment, "KG-041"), *of_pods, *((node, "KG-044") for node in NODES)]


@st.composite
def storms(draw: st.DrawFn) -> list[Alert]:
    """Alerts anywhere; and as often some that are dense around one workload, which chance alone rarely makes."""
    storm = draw(st.lists(alerts(), min_size=1, max_size=12, unique_by=lambda each: (each.ref, each.check)))
    dense = draw(st.sampled_from(["", *NAMES]))
    chosen = draw(st.lists(st.sampled_from(around(dense)), min_size=6, unique=True)) if dense else []
    known = set(chosen)
    seconds = draw(st.lists(st.integers(0, 25), min_size=len(chosen), max_size=len(chosen)))
    added = [alert(*each, NOW + timedelta(seconds=at_s)) for each, at_s in zip(chosen, seconds, strict=True)]
    return [*added, *(each for each in storm if (each.ref, each.check) not in known)][:12]


Law = Callable[[st.DataObject], None]
Step = tuple[str, Any]
steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("fire"), alerts()),
    st.tuples(st.just("fire"), alerts()),
    st.tuples(st.just("life"), alerts()),
    st.tuples(st.just("end"), st.integers(0, 11)),
    st.tuples(st.just("again"), st.integers(0, 11)),
    st.tuples(st.just("wait"), st.integers(1, 40)),
    st.tuples(st.just("wait"), st.integers(120, 200)),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("topology"), worlds()),
    st.tuples(st.just("silence"), st.tuples(st.sampled_from(["s1", "s2"]), st.sampled_from(["pod", "node", "*"]))),
    st.tuples(st.just("unsilence"), st.integers(0, 1)),
    st.tuples(st.just("ack"), st.tuples(st.integers(0, 3), st.sampled_from(["upsert", "remove"]))),
)


def after_storm(world: list[TopologyEntity], storm: list[Alert], seconds: int = 60) -> Grouped:
    grouped = Grouped()
    grouped.feed(*world, *storm)
    grouped.now = NOW + timedelta(seconds=24)
    grouped.after(seconds)
    return grouped


def order_does_not_matter(data: st.DataObject) -> None:
    world, storm = data.draw(worlds()), data.draw(storms())
    shuffled = data.draw(st.permutations(storm))
    first, second = after_storm(world, storm), after_storm(data.draw(st.permutations(world)), shuffled)
    assert first.grouped() == second.grouped()
    assert {each.id: each.root.ref for each in first.rows.values()} == {
        each.id: each.root.ref for each in second.rows.values()
    }


def unrelated_are_never_together(data: st.DataObject) -> None:
    world, storm = data.draw(worlds()), data.draw(storms())
    grouped = after_storm(world, storm)
    for incident in grouped.rows.values():
        refs = {each.ref for each in incident.affected}
        assert refs <= connected(world, incident.root.ref), incident


def connected(world: list[TopologyEntity], start: Ref) -> set[Ref]:
    peers: dict[Ref, set[Ref]] = {}
    for each in world:
        for connection in each.connections:
            peers.setdefault(each.ref, set()).add(connection.peer)
            peers.setdefault(connection.peer, set()).add(each.ref)
    found, open_ = {start}, [start]
    while open_:
        new = peers.get(open_.pop(), set()) - found
        found |= new
        open_ += new
    return found


def causes_are_not_united_by_their_effects(data: st.DataObject) -> None:
    """Each member has a chain of explanations to the root; what only shares an effect with it has none."""
    world, storm = data.draw(worlds()), data.draw(storms())
    grouped = after_storm(world, storm)
    own = [each for each in storm if each.check in ("KG-044", "KG-047", "KG-021")]  # nothing explains these
    units = {str(unit(each.ref)) for each in own}
    roots = {str(unit(each.root.ref)) for each in grouped.rows.values()}
    assert units <= roots
    assert len([each for each in grouped.rows.values() if str(unit(each.root.ref)) in units]) == len(units)


def unit(ref: Ref) -> Ref:
    return make_ref(ref.name.partition("-")[0], kind="deployment") if ref.kind == "pod" else ref


def published_is_fixed(data: st.DataObject) -> None:
    grouped = Grouped()
    grouped.feed(*data.draw(worlds()))
    ever: dict[str, Incident] = {}
    for step in data.draw(st.lists(steps, min_size=3, max_size=15)):
        apply(grouped, step)
        for each in grouped.rows.values():
            before = ever.get(each.id)
            if before is not None:
                assert (each.title, each.root.ref, each.root.check) == (
                    before.title,
                    before.root.ref,
                    before.root.check,
                )
                assert before.state != "resolved" or each == before
                assert each.state == "resolved" or set(before.members) <= set(each.members)
                assert each.revision >= before.revision
                assert before.parent in ("", each.parent)
            assert each.state == "resolved" or each.calm_at is not None or in_force(each) == held(each)
        assert ever.keys() <= grouped.rows.keys()
        members = [member for each in grouped.rows.values() for member in each.members]
        assert len(members) == len(set(members))
        ever = dict(grouped.rows)


def in_force(incident: Incident) -> tuple[set[str], bool]:
    """The silences that act, and whether it is acknowledged, as the incident says."""
    return set(incident.silenced_by), incident.acknowledged is not None


def held(incident: Incident) -> tuple[set[str], bool]:
    """The same, as its timeline says."""
    found = [each.decided for each in incident.timeline if each.decided is not None]
    silences = {each.silence: each.action for each in found if each.silence}
    words = [each.action for each in found if not each.silence]
    return {id_ for id_, action in silences.items() if action == "silence"}, words[-1:] == ["acknowledge"]


def every_firing_alert_is_in_an_incident(data: st.DataObject) -> None:
    """No alert is silent: once it has waited, it is a member of one that is open."""
    grouped = Grouped()
    grouped.feed(*data.draw(worlds()))
    for step in data.draw(st.lists(steps, min_size=3, max_size=12)):
        apply(grouped, step)
    apply(grouped, ("wait", 60))
    active = [each for each in grouped.open if each.calm_at is None]
    listed = {(each.ref, check) for incident in active for each in incident.affected for check in each.checks}
    assert listed == {(each.ref, each.check) for each in stored(grouped, "firing")}


def a_restart_changes_nothing(data: st.DataObject) -> None:
    one, other = Grouped(), Grouped()
    world = data.draw(worlds())
    one.feed(*world)
    other.feed(*world)
    for step in data.draw(st.lists(steps, min_size=3, max_size=12)):
        apply(one, step)
        apply(other, step)
        settle(one, other)
        count = len(one.published)
        one.restart()
        assert len(one.published) == count
        assert one.rows == other.rows


def settle(*both: Grouped) -> None:
    """What is published at most every ten seconds would be published by a restart."""
    for each in both:
        each.after(11)


def at_rest_nothing_is_published(data: st.DataObject) -> None:
    grouped = after_storm(data.draw(worlds()), data.draw(storms()), seconds=120)
    assert grouped.after(120) == []


def apply(grouped: Grouped, step: Step) -> None:  # noqa: C901, PLR0912 - one case for each step
    match step:
        case ("life", each):
            for part in (("fire", each), ("wait", 40), ("end", 0), ("wait", 130)):
                apply(grouped, part)
        case ("fire", each) if is_firing(grouped, each):
            pass
        case ("fire", each):
            grouped.feed(alert(each.ref, each.check, grouped.now, severity=each.severity))
        case ("end", place):
            for each in one_of(stored(grouped, "firing"), place):
                grouped.feed(structs.replace(each, state="resolved", ended_at=grouped.now))
        case ("again", place):
            for each in one_of(stored(grouped, "resolved"), place):
                grouped.feed(alert(each.ref, each.check, grouped.now, severity=each.severity))
        case ("wait", seconds):
            grouped.after(seconds)
        case ("restart", None):
            settle(grouped)
            grouped.restart()
        case ("silence", (id_, kind)):
            times = {"starts_at": grouped.now, "ends_at": grouped.now + timedelta(seconds=100)}
            purpose = "maintenance" if kind == "node" else "silence"
            found = {"matchers": [Matcher(field="kind", value=kind)], "purpose": purpose, **times}
            grouped.feed(make_silence(id_, cluster="test", **found))
        case ("unsilence", place):
            for each in [each for each in grouped._stored.values() if isinstance(each, Silence)][place:][:1]:
                grouped.feed(structs.replace(each, op="remove", by="bob"))
        case ("ack", (place, op)):
            for each in grouped.open[place:][:1]:
                of = {"text": "t", "cluster": "test", "incident": each.id, "by": "ada"}
                grouped.feed(Acknowledgement(op=op, at=grouped.now, revision=each.revision, **of))
        case (_, world):
            grouped.feed(*world)


def is_firing(grouped: Grouped, each: Alert) -> bool:
    return (each.ref, each.check) in {(other.ref, other.check) for other in stored(grouped, "firing")}


def one_of(found: list[Alert], place: int) -> list[Alert]:
    return [found[place % len(found)]] if found else []


def stored(grouped: Grouped, state: str) -> list[Alert]:
    found = [each for each in grouped._stored.values() if isinstance(each, Alert) and each.state == state]
    return sorted(found, key=lambda each: (each.ref, each.check))


LAWS: list[Law] = [
    order_does_not_matter,
    unrelated_are_never_together,
    causes_are_not_united_by_their_effects,
    published_is_fixed,
    every_firing_alert_is_in_an_incident,
    a_restart_changes_nothing,
    at_rest_nothing_is_published,
]


@pytest.mark.parametrize("law", LAWS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_law(law: Law, data: st.DataObject) -> None:
    law(data)


# Mutants


def first_to_come(self: election.Election, alert: Any) -> Any:
    """The first alert of a pass is the root of all that it explains or shares an effect with."""
    return self.__dict__.setdefault("_first", alert)


def transitive(self: election.Election, alert: Any) -> Any:
    """Who has a cause in common is one group: the smallest of all alerts that are connected."""
    cause = self._cause(alert)
    group: dict[str, Any] = self.__dict__.setdefault("_group", {})
    key = cause.subject if cause is not None else alert.subject
    return group.setdefault(key, alert)


def all_alike(_: Any) -> int:
    """Then `min` takes the first to come."""
    return 0


def forgets_members(self: Any, incident: Incident) -> None:
    original_restore(self, incident)
    self._restored.clear()


def always_changed(last: Incident, found: Incident, inputs: Any, now: datetime, **_: Any) -> Incident:
    return structs.replace(found, changed_at=now)


def keeps_its_members(self: Any, group: Any) -> None:
    members = list(group.members.values())
    original_close(self, group)
    for each in members:
        each.incident = group.last.id


def by_any_relation(self: explain.Explaining, known: Any, *, is_old_too: bool = False) -> Any:
    anything = structs.replace(known.explanation, explained_by=("host", "dependency", "backend"))
    return original_cause(self, structs.replace(known, explanation=anything), is_old_too=is_old_too)


def notes_no_silence(*_: Any) -> tuple[()]:
    return ()


original_restore = reducer.Incidents.restore
original_close = reducer.Incidents._close
original_cause = explain.Explaining.cause
MUTANTS: dict[str, tuple[Any, str, Any, Law]] = {
    "one root for all": (election.Election, "root", first_to_come, unrelated_are_never_together),
    "the first of those with one cause is the root": (election.Election, "root", transitive, order_does_not_matter),
    "the cause that came first": (explain, "_rank", all_alike, order_does_not_matter),
    "any relation explains": (explain.Explaining, "cause", by_any_relation, causes_are_not_united_by_their_effects),
    "members forgotten at a restart": (reducer.Incidents, "restore", forgets_members, a_restart_changes_nothing),
    "every reading is a change": (lifecycle, "_stated", always_changed, a_restart_changes_nothing),
    "a silence is in no timeline": (decided, "silencing", notes_no_silence, published_is_fixed),
    "resolved keeps its members": (
        reducer.Incidents, "_close", keeps_its_members, every_firing_alert_is_in_an_incident
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_breaks_its_law(name: str) -> None:
    owner, attribute, mutant, law = MUTANTS[name]

    @given(data=st.data())
    @settings(max_examples=5_000, deadline=None, phases=[Phase.generate], database=None, report_multiple_bugs=False)
    def broken(data: st.DataObject) -> None:
        law(data)

    with patch.object(owner, attribute, mutant), pytest.raises(AssertionError):
        broken()
