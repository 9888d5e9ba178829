"""Laws of health that hold for any figures, in any order, across any restart."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgents_health_scorer import score
from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.checks.check import GradedCheck
from kgents_health_scorer.reducer import Scorer
from kgents_shared.contract.codec import ALERT, HEALTH, encode
from kgents_shared.contract.entity import STATUSES, Ref
from kgents_shared.contract.health import Health
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.topology import TopologyEntity
from support.health_inputs import INTERVAL_S, POD, Published, at, entity, pulse

pytestmark = pytest.mark.property

CONSUMER = Ref("c1", "nats_consumer", "ORDERS.billing")
REFS = (POD, CONSUMER, Ref("c1", "pod", "pay-1", "shop"))
GRADED = [check for check in CATALOGUE if isinstance(check, GradedCheck)]

# Around every threshold of error_rate (0.01, 0.05, 0.5), and its edges by five per cent.
ratios = st.sampled_from([0.0, 0.0094, 0.0096, 0.01, 0.03, 0.0476, 0.05, 0.2, 0.5, 1.0])
any_floats = st.floats(allow_nan=True, allow_infinity=True)
figures = st.none() | ratios

Step = tuple[str, Ref, float | None, str]
"""What happens: `pulse` with an error rate, `entity` with a status, `gone`, or `wait`."""

steps: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.tuples(st.just("pulse"), st.sampled_from(REFS), figures, st.just("")),
        st.tuples(st.just("pulse"), st.sampled_from(REFS), figures, st.just("")),
        st.tuples(st.just("entity"), st.sampled_from(REFS), st.none(), st.sampled_from(STATUSES)),
        st.tuples(st.just("gone"), st.sampled_from(REFS), st.none(), st.just("")),
        st.tuples(st.just("wait"), st.sampled_from(REFS), st.none(), st.just("")),
    ),
    max_size=40,
)


def feed(scorer: Scorer, happened: list[Step], published: Published | None = None) -> float:
    """Play the steps, five seconds apart, and publish after each if asked to; the time at their end."""
    at_s = 0.0
    for index, (what, ref, figure, status) in enumerate(happened):
        at_s += 5 if what != "wait" else 200
        evidence = f"S:{index}"
        if what == "pulse":
            sample = pulse(at_s, ref, custom={"error_rate": figure, "pending_messages": figure})
            scorer.on_pulse(sample, now=at(at_s), evidence=evidence)
        elif what == "entity":
            scorer.on_topology(entity(ref, status=status, at_s=at_s), ref, now=at(at_s), evidence=evidence)
        elif what == "gone":
            scorer.on_topology(None, ref, now=at(at_s), evidence=evidence)
        scorer.tick(at(at_s))
        if published is not None:
            published.write(scorer.take())
    return at_s


class Judge:
    """A scorer of one pod whose latest word is asked for, whether or not it would be published."""

    def __init__(self, status: str = "running") -> None:
        self._scorer = Scorer(CATALOGUE)
        self._scorer.on_topology(entity(status=status), POD, now=at(0), evidence="T:1")

    def after(self, sample: ResourcePulse) -> Health:
        self._scorer.on_pulse(sample, now=sample.timestamp, evidence="P:1")
        return next(health for health in self._scorer.take().health if health.ref == POD)


@given(st.sampled_from(GRADED), any_floats, any_floats)
def test_severity_is_a_ratio_and_never_less_for_a_worse_value(check: GradedCheck, one: float, other: float) -> None:
    if math.isnan(one) or math.isnan(other):
        return
    better, worse = sorted((one, other), key=check.badness)
    assert 0 <= score.severity(check, better) <= score.severity(check, worse) <= 1


@given(
    st.sampled_from(STATUSES),
    st.lists(st.dictionaries(st.sampled_from(["error_rate", "requests_per_sec"]), any_floats)),
)
def test_score_is_between_0_and_1_and_critical_exactly_below_a_half(
    status: str, samples: list[dict[str, float | None]]
) -> None:
    judge = Judge(status)
    for index, custom in enumerate(samples):
        health = judge.after(pulse(index, memory=0.5, cpu=0.5, custom=custom))
        assert 0 <= health.score <= 1
        assert (health.score < 0.5) == any(reason.severity >= 0.5 for reason in health.reasons)
        assert (health.score < 0.5) == (health.level == "critical")
        assert (health.score >= 0.8) == (health.level == "healthy")
        assert health.reasons == sorted(health.reasons, key=lambda reason: -reason.severity)
        HEALTH.decode(encode(health))


@given(st.lists(st.tuples(ratios | any_floats, ratios | any_floats), max_size=12))
def test_worse_samples_never_raise_the_score(pairs: list[tuple[float, float]]) -> None:
    one, other = Judge(), Judge()
    for index, pair in enumerate(pairs):
        if any(map(math.isnan, pair)):
            continue
        better = one.after(pulse(index, custom={"error_rate": min(pair)}))
        worse = other.after(pulse(index, custom={"error_rate": max(pair)}))
        assert worse.score <= better.score


@given(st.lists(st.dictionaries(st.sampled_from(["error_rate", "requests_per_sec"]), any_floats)), st.floats(0, 1))
def test_no_figure_makes_a_failed_thing_look_better(samples: list[dict[str, float | None]], memory: float) -> None:
    judge = Judge("failed")
    for index, custom in enumerate(samples):
        assert judge.after(pulse(index, memory=memory, custom=custom)).score == 0


@given(steps)
def test_missing_samples_never_raise_a_score_and_are_never_health(happened: list[Step]) -> None:
    scorer = Scorer(CATALOGUE)
    scorer.on_topology(entity(), POD, now=at(0), evidence="T:1")
    end_s = feed(scorer, [step for step in happened if step[0] == "pulse"])
    before = {health.ref: health for health in scorer.take().health}
    scorer.tick(at(end_s + 10 * INTERVAL_S))
    for after in scorer.take().health:
        if after.ref == POD:
            assert after.score <= before[POD].score
            assert after.level != "healthy"


@given(steps, st.permutations(REFS))
def test_order_of_independent_inputs_does_not_matter(happened: list[Step], order: list[Ref]) -> None:
    inputs: list[tuple[Ref, ResourcePulse | TopologyEntity | None, float]] = []
    for index, (what, ref, figure, status) in enumerate(happened):
        if what == "pulse":
            inputs.append((ref, pulse(index, ref, custom={"error_rate": figure}), index))
        elif what != "wait":
            inputs.append((ref, entity(ref, status=status) if what == "entity" else None, index))
    rows = []
    for arranged in (inputs, sorted(inputs, key=lambda each: order.index(each[0]))):
        scorer = Scorer(CATALOGUE)
        for ref, what_it_is, at_s in arranged:
            if isinstance(what_it_is, ResourcePulse):
                scorer.on_pulse(what_it_is, now=at(at_s), evidence=f"S:{at_s}")
            else:
                scorer.on_topology(what_it_is, ref, now=at(at_s), evidence=f"S:{at_s}")
        scorer.tick(at(1_000))
        published = Published()
        published.write(scorer.take())
        rows.append((published.health, published.alerts))
    assert rows[0] == rows[1]


@given(steps, st.integers(0, 40))
def test_redelivered_input_changes_nothing(happened: list[Step], which: int) -> None:
    scorer, published = Scorer(CATALOGUE), Published()
    feed(scorer, happened, published)
    at_s, latest = 0.0, {}
    pulses = []
    for what, ref, figure, status in happened:
        at_s += 5 if what != "wait" else 200
        if what == "pulse":
            sample = pulse(at_s, ref, custom={"error_rate": figure, "pending_messages": figure})
            pulses.append(sample)
        elif what != "wait":
            latest[ref] = (entity(ref, status=status, at_s=at_s) if what == "entity" else None, at_s)
    for sample in pulses[which : which + 3]:
        scorer.on_pulse(sample, now=sample.timestamp, evidence="again")
    for ref, (what_it_is, stored_s) in latest.items():
        scorer.on_topology(what_it_is, ref, now=at(stored_s), evidence="again")
    assert published.write(scorer.take()) == []


def restored(published: Published) -> Scorer:
    scorer = Scorer(CATALOGUE)
    scorer.restore(
        [HEALTH.decode(encode(row)) for row in published.health.values()],
        [ALERT.decode(encode(alert)) for alert in published.alerts.values()],
    )
    return scorer


@given(steps)
def test_restart_that_reads_everything_again_says_nothing(happened: list[Step]) -> None:
    published = Published()
    end_s = feed(Scorer(CATALOGUE), happened, published)
    scorer = restored(published)
    feed(scorer, happened)
    scorer.caught_up(at(end_s))
    assert published.write(scorer.take()) == []


@given(steps)
def test_restart_that_reads_only_last_messages_says_nothing(happened: list[Step]) -> None:
    published = Published()
    end_s = feed(Scorer(CATALOGUE), happened, published)
    scorer = restored(published)
    at_s, entities, pulses = 0.0, {}, {}
    for what, ref, figure, status in happened:
        at_s += 5 if what != "wait" else 200
        if what == "pulse":
            pulses[ref] = pulse(at_s, ref, custom={"error_rate": figure, "pending_messages": figure})
        elif what != "wait":
            entities[ref] = (entity(ref, status=status, at_s=at_s) if what == "entity" else None, at_s)
    for ref, (what_it_is, stored_s) in entities.items():
        scorer.on_topology(what_it_is, ref, now=at(stored_s), evidence="S:0")
    for sample in pulses.values():
        scorer.on_pulse(sample, now=sample.timestamp, evidence="S:1")
    scorer.caught_up(at(end_s))
    assert published.write(scorer.take()) == []
