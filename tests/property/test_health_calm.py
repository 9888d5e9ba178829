"""The law of the scorer's shortcuts: each publishes what it would if it judged every entity at every input, plainly."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from kgents_health_scorer.baseline import Past
from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.debounce import LONG_AGO, Window
from kgents_health_scorer.reducer import Scorer
from kgents_health_scorer.scored_entity import ScoredEntity
from kgents_health_scorer.source import evidence_of
from kgents_health_scorer.verdict import is_plain
from kgents_health_scorer.walk import Walk, Walks
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health
from kgents_shared.contract.pulse import ALL, Pulse, ResourcePulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread
from support.health_inputs import Published, at, entity, source

pytestmark = pytest.mark.property

REFS = (Ref("c1", "pod", "cart", "shop"), Ref("c1", "container", "cart/app", "shop"), Ref("c1", "node", "n1"))
SOURCES = ("k8s", "docker")
FIGURES = st.sampled_from([0.1, 0.4, 0.5, 0.84, 0.85, 0.86, 0.9, 0.96, 1.0, None, float("nan")])

INTERVALS = st.sampled_from([15.0, 15.0, 400.0, 86_400.0])
WAITS = st.sampled_from([1.0, 16.0, 50.0, 301.0, 901.0, 3_700.0, 3_700.0, 90_000.0])
WHAT = ("entity", "pulse", "series", "series", "habit", "wait", "wait", "unread", "gone", "recovery")

Step = tuple[object, ...]


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """What happens to few entities, most of it as it does: a state and some samples of it, time, and again."""
    refs = st.sampled_from(draw(st.sampled_from([REFS[:1], REFS[:1], REFS[:2], REFS])))
    sources = st.sampled_from(draw(st.sampled_from([SOURCES[:1], SOURCES])))
    entities = st.tuples(
        st.just("entity"),
        refs,
        st.sampled_from(["running", "running", "running", "pending", "failed", "succeeded"]),
        st.sampled_from(["", "", "", "NotReady", "CrashLoopBackOff"]),
        st.sampled_from(["u1", "u1", "u1", "u2"]),
        st.sampled_from([["k8s"], ["docker"], ["docker", "k8s"], []]),
    )
    pulses = st.tuples(
        st.just("pulse"),
        refs,
        sources,
        FIGURES,
        FIGURES,
        st.sampled_from(["", "u1", "u2"]),
        INTERVALS,
        st.sampled_from(["", "", "", "", "repeated", "all unread", "late", "ahead", "absent", "unlimited", "delayed"]),
    )
    waits = st.tuples(st.sampled_from(["wait", "wait", "away"]), WAITS)
    unread = st.tuples(st.just("unread"), sources, st.sampled_from(["", "pod", "nothing", "nothing"]))
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, 14))):
        what = draw(st.sampled_from(WHAT))
        if what == "series":
            ref, source = draw(refs), draw(sources)
            samples = draw(st.lists(st.tuples(FIGURES | st.just(0.1), INTERVALS), min_size=2, max_size=8))
            uid = draw(st.sampled_from(["", "", "u1", "u2"]))
            steps += [("pulse", ref, source, figure, 0.1, uid, interval_s, "") for figure, interval_s in samples]
        elif what == "habit":
            steps += habit(draw(refs), draw(sources), draw(st.integers(0, 1_000)), draw(st.integers(10, 40)))
        elif what == "recovery":
            ref = draw(refs)
            steps += [("entity", ref, status, "", "u1", []) for status in ("failed", "running")]
        elif what == "gone":
            steps.append(("gone", draw(refs)))
        else:
            steps.append(draw({"entity": entities, "pulse": pulses, "wait": waits, "unread": unread}[what]))
    return steps


def habit(ref: Ref, name: str, seed: int, count: int) -> list[Step]:
    """Good samples, of which some differ from what is usual, up to becoming it."""
    random = Random(seed)
    interval_s, usual = random.choice([15.0, 60.0, 60.0, 400.0]), random.choice([0.0, 0.1, 0.5])
    found: list[Step] = []
    for _ in range(count):
        usual = random.choice([0.0, 0.3, 0.59]) if random.random() < 0.05 else usual
        cpu = random.choice([0.0, 0.59, 0.7]) if random.random() < 0.1 else usual
        how = "unlimited" if random.random() < 0.1 else ""
        found.append(("pulse", ref, name, random.choice([0.1, 0.5]), cpu, "", interval_s, how))
    return found


class PlainWalks(Walks):
    """Asks all entities at every moment, in one go, and judges those that do not what they are for."""

    def __init__(self, scorer: Scorer) -> None:
        super().__init__(scorer._entities)
        self._scorer = scorer

    def is_due(self, now: datetime) -> bool:
        return True

    def begin(self, now: datetime, *, source: Ref | None = None, is_first: bool = False) -> None:
        walk = Walk(now, [], source, is_first)
        for each in self._entities.values():
            if walk.concerns(each) or (source is None and is_restless(each)):
                self._scorer._dirty[each.ref] = now


def is_restless(scored: ScoredEntity) -> bool:
    """Whether how long it has been what it is may matter."""
    is_well = scored.entity is None or is_plain(scored.entity)
    return not is_well and scored.attested.passes(scored.now)


class PlainScorer(Scorer):
    """Judges whatever an input or the time concerns, in one go, whether it may matter or not."""

    def __init__(self) -> None:
        super().__init__(CATALOGUE)
        self._walks = PlainWalks(self)

    def on_pulse(self, pulse: Pulse, *, now: datetime, evidence: str, delay_s: float = 0.0) -> None:
        with _plain_windows():
            super().on_pulse(pulse, now=now, evidence=evidence, delay_s=delay_s)
        scored = self._entities.get(pulse.ref)
        if scored is not None and any(each.evidence == evidence for each in scored.sources.values()):  # it was taken
            self._dirty.setdefault(pulse.ref, LONG_AGO)


@contextmanager
def _plain_windows() -> Iterator[None]:
    with patch.object(Window, "stays_calm", lambda *_: False):
        yield


def pulse_of(step: Step, now_s: float) -> ResourcePulse:
    _, ref, name, memory, cpu, uid, interval_s, how = step
    assert isinstance(ref, Ref)
    errors = cpu / 10 if isinstance(cpu, float) and cpu > 0.8 else 0.0 if cpu is not None else None
    custom: dict[str, float | None] = {"cpu_limit_percent": 100.0, "error_rate": errors} if how != "absent" else {}
    is_known = isinstance(memory, float) and memory == memory  # noqa: PLR0124 - NaN
    return ResourcePulse(
        ref=ref,
        source=str(name),
        timestamp=at(now_s + {"late": -20.0, "ahead": 61.0}.get(str(how), 0.0)),
        interval_s=float(str(interval_s)),
        uid=str(uid),
        cpu_percent=cpu * 100 if isinstance(cpu, float) and cpu == cpu else None,  # noqa: PLR0124 - NaN
        memory_bytes=round(memory * 1000) if isinstance(memory, float) and is_known else None,
        memory_limit_bytes=None if how in ("absent", "unlimited") else 1000,
        custom=custom,
        unread=[ALL] if how == "all unread" else ["memory_bytes"] if not is_known and how != "absent" else [],
        read_at={"error_rate": at(now_s - 30.0)} if how == "repeated" else {},
    )


def give(scorer: Scorer, step: Step, now_s: float) -> None:
    now, evidence = at(now_s), evidence_of(round(now_s))
    match step:
        case ("pulse", *_):
            delay_s = 100.0 if step[-1] == "delayed" else 0.0
            if isinstance(scorer, PlainScorer) or delay_s or not passes(scorer, pulse_of(step, now_s), now_s):
                scorer.on_pulse(pulse_of(step, now_s), now=now, evidence=evidence, delay_s=delay_s)
        case ("entity", Ref() as ref, str(status), str(reason), str(uid), list(sources)):
            message = entity(ref, status, reason, uid=uid, sources=sources, at_s=now_s)
            scorer.on_topology(message, ref, now=now, evidence=evidence)
        case ("gone", Ref() as ref):
            scorer.on_topology(None, ref, now=now, evidence=evidence)
        case ("unread", str(name), str(kind)):
            scopes = [] if kind == "nothing" else [Unread(kind=kind, since=now)]
            message = source(*scopes, name=name, at_s=now_s)
            scorer.on_topology(message, message.ref, now=now, evidence=evidence)
        case ("away", float(away_s)):
            scorer.was_away(round((now.timestamp() - away_s) * 1e9), round(now.timestamp() * 1e9))
            scorer.tick(now)
        case _:
            scorer.tick(now)


def passes(scorer: Scorer, pulse: Pulse, now_s: float, *, on: Ref | None = None) -> bool:
    """Whether it says nothing new, and is taken as such."""
    subject = pulse.ref.subject("pulse", source=pulse.source) if on is None else on.subject("pulse", source="k8s")
    time_ns = round(at(now_s).timestamp() * 1e9)
    return scorer.calms.take(pulse, Delivery(subject, b"", None, round(now_s), 0, time_ns, 0))


@given(
    before=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=100),
    steady=st.lists(st.sampled_from([0.0, 0.1, 0.5, 3.0]), max_size=2),
    published=st.integers(0, 120),
    interval_s=st.sampled_from([0.1, 15.0, 60.0, 400.0, 86_400.0]),
    data=st.data(),
)
def test_what_is_usual_moves_no_sooner_than_is_certain(
    before: list[float], steady: list[float], published: int, interval_s: float, data: st.DataObject
) -> None:
    past = Past()
    for number, value in enumerate([*before, *(each for each in steady for _ in range(40))]):
        if number == published:
            past.record("KG-111", "k8s", None)
        past.learn(value, 0.02, interval_s)
    if certain := past.certain(interval_s):
        assert not past.has_moved()
        for value in data.draw(st.lists(st.floats(0.0, 1e6), min_size=certain, max_size=certain)):
            past.learn(value, 0.02, interval_s)
            assert not past.has_moved()


def taken(scorer: Scorer, published: Published) -> list[str]:
    """What a subscriber sees of this step."""
    found: list[Health | Alert] = []
    while scorer.is_dirty:
        found += published.write(scorer.take())
    return sorted(map(repr, found))


CART_SAMPLE: Step = ("pulse", REFS[0], "k8s", 0.1, 0.1, "", 15.0, "")
EXPIRED_WHILE_AWAY: list[Step] = [
    ("entity", REFS[0], "failed", "", "u1", []),
    ("entity", REFS[0], "running", "", "u1", []),
    ("entity", REFS[0], "running", "", "u1", ["k8s"]),
    CART_SAMPLE,
    ("away", 90_000.0),
    CART_SAMPLE,
]

NOT_READY_WHILE_AWAY: list[Step] = [
    ("entity", REFS[0], "running", "NotReady", "u1", ["k8s"]),
    *(CART_SAMPLE, CART_SAMPLE, ("away", 901.0), CART_SAMPLE),
]

SILENT_SOONER: list[Step] = [
    *[("pulse", REFS[0], "k8s", 0.1, 0.1, "", interval_s, "") for interval_s in (400.0, 400.0, 400.0, 15.0)],
    *[("wait", 50.0)] * 4,
]
SILENT_ONE_AFTER_THE_OTHER: list[Step] = [
    *[("pulse", REFS[number % 2], "k8s", 0.1, 0.1, "", (15.0, 400.0)[number % 2], "") for number in range(6)],
    *[("wait", 50.0), ("wait", 3_700.0), ("wait", 3_700.0)],
]


HEARD_AND_AWAY: list[Step] = [
    *[("pulse", REFS[0], "k8s", 0.1, 0.1, "", 60.0, "")] * 10,
    *[("wait", 1.0), ("away", 301.0), ("entity", REFS[0], "failed", "", "u1", [])],
]
SUSPECT_AFTER_AWAY: list[Step] = [
    *[("pulse", REFS[0], "k8s", 0.1, 0.1, "", 15.0, "")] * 2,
    ("away", 1.0),
    *[("pulse", REFS[0], "k8s", 0.1, cpu, "", 15.0, "") for cpu in (0.1, 0.1, 0.1, 0.84)],
]


@given(steps=histories(), walked=st.sampled_from([1, 2, 500]))
@example(EXPIRED_WHILE_AWAY, 1)
@example(SILENT_SOONER, 500)
@example(SILENT_ONE_AFTER_THE_OTHER, 500)
@example(NOT_READY_WHILE_AWAY, 1)
@example(HEARD_AND_AWAY, 1)
@example(SUSPECT_AFTER_AWAY, 1)
@settings(max_examples=500)
def test_what_is_not_judged_again_would_have_been_judged_alike(steps: list[Step], walked: int) -> None:
    quick, plain = Scorer(CATALOGUE), PlainScorer()
    seen, expected = Published(), Published()
    now_s = 100.0
    with patch("kgents_health_scorer.walk.AT_ONCE", walked):
        for step in [*(("entity", ref, "running", "", "u1", ["k8s"]) for ref in REFS), *steps]:
            now_s += step[1] if isinstance(step[1], float) else 1.0
            for what in (step,) if step[0] == "away" else (("tick",), step):
                for scorer in (quick, plain):
                    give(scorer, what, now_s)
                assert taken(quick, seen) == taken(plain, expected), (what, now_s)
    assert seen.health == expected.health
    assert seen.alerts == expected.alerts


def test_most_pulses_are_not_judged_again() -> None:
    """Or the law would hold of a scorer without a shortcut."""
    scorer, published = Scorer(CATALOGUE), Published()
    topology = TopologyEntity(text="", ref=REFS[0], status="running", uid="u1", sources=["k8s"])
    scorer.on_topology(topology, REFS[0], now=at(0), evidence="T")
    for number in range(1, 4):
        give(scorer, ("pulse", REFS[0], "k8s", 0.1, 0.1, "u1", 15.0, ""), 15.0 * number)
        taken(scorer, published)
    calm = pulse_of(("pulse", REFS[0], "k8s", 0.2, 0.1, "u1", 15.0, ""), 60.0)
    assert not passes(scorer, structs.replace(calm, ref=REFS[1]), 60.0, on=REFS[0]), "not what its subject names"
    assert not passes(scorer, structs.replace(calm, source="docker"), 60.0, on=REFS[0])
    assert not passes(scorer, structs.replace(calm, timestamp=at(45.0)), 60.0), "as old as the last"
    assert not passes(scorer, calm, 40.0), "stored before the last"
    assert passes(scorer, calm, 60.0)
    assert not scorer.is_dirty
    with patch.object(ScoredEntity, "judge", autospec=True, side_effect=ScoredEntity.judge) as judge:
        for name in ("", "nothing"):
            give(scorer, ("unread", "k8s", name), 61.0)
            taken(scorer, published)
    assert REFS[0] not in {call.args[0].ref for call in judge.call_args_list}


def test_what_has_failed_is_judged_again_when_its_age_matters() -> None:
    scorer, published = Scorer(CATALOGUE), Published()
    failed = entity(REFS[0], "failed", "Error", uid="u1", sources=["k8s"], at_s=0)
    scorer.on_topology(failed, REFS[0], now=at(1), evidence="T")
    taken(scorer, published)
    with patch.object(ScoredEntity, "judge", autospec=True, side_effect=ScoredEntity.judge) as judge:
        for now_s in range(5, 300, 5):
            scorer.tick(at(now_s))
            taken(scorer, published)
        assert judge.call_count == 0
        scorer.tick(at(300))
        taken(scorer, published)
        assert judge.call_count == 1


def test_a_resolved_alert_of_an_entity_that_is_well_again_expires() -> None:
    scorer, published = Scorer(CATALOGUE), Published()
    well, failed = (entity(REFS[0], status, uid="u1", sources=["k8s"]) for status in ("running", "failed"))
    for number, message in enumerate([well, failed, well]):
        scorer.on_topology(message, REFS[0], now=at(number), evidence="T")
        taken(scorer, published)
    assert {each.state for each in published.alerts.values()} == {"resolved"}
    scorer.on_topology(well, REFS[0], now=at(3_700), evidence="T")  # an hour later: its past has expired
    taken(scorer, published)
    for at_s, unread in ((3_710, "pod"), (3_720, "nothing")):
        give(scorer, ("unread", "k8s", unread), at_s)
        taken(scorer, published)
    for at_s in (3_800, 90_000):
        scorer.tick(at(at_s))
        taken(scorer, published)
    assert REFS[0] not in {ref for ref, _ in published.alerts}


def test_moments_that_come_faster_than_they_are_taken_do_not_pile_up() -> None:
    scorer = Scorer(CATALOGUE)
    for number, ref in enumerate(REFS):
        pending = TopologyEntity(text="", ref=ref, status="pending", uid="u1", sources=["k8s"], at=at(0))
        scorer.on_topology(pending, ref, now=at(number), evidence="T")
    taken(scorer, Published())
    for number in range(10, 60):
        scorer.tick(at(number))
        give(scorer, ("unread", "k8s", "pod" if number % 2 else "nothing"), number)
    with patch.object(ScoredEntity, "judge", autospec=True, side_effect=ScoredEntity.judge) as judge:
        taken(scorer, Published())
    assert judge.call_count <= 2 * (len(REFS) + 1)
