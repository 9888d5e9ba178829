"""Laws of health that hold for any figures, in any order, across any restart."""

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kgents_health_scorer import found, score
from kgents_health_scorer.checks import CATALOGUE, PROFILES
from kgents_health_scorer.checks.check import GradedCheck, Sample, SeriesCheck
from kgents_health_scorer.reducer import Scorer
from kgents_shared.contract.codec import ALERT, HEALTH, encode
from kgents_shared.contract.entity import STATUSES, Ref
from kgents_shared.contract.health import Edge, Health
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.topology import TopologyEntity
from support.health_inputs import POD, Published, at, entity, pulse

pytestmark = pytest.mark.property

END_S = 10_000.0
"""Later than anything that happens."""
CONSUMER = Ref("c1", "nats_consumer", "ORDERS.billing")
REFS = (POD, CONSUMER, Ref("c1", "pod", "pay-1", "shop"))
GRADED = [check for check in CATALOGUE if isinstance(check, GradedCheck)]
ALL_GRADED = [*GRADED, *(check for checks in PROFILES.values() for check in checks if isinstance(check, GradedCheck))]

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


Input = tuple[float, Ref, ResourcePulse | TopologyEntity | None]
"""When, of what, and what; None: it has gone."""


def inputs_of(happened: list[Step]) -> list[Input]:
    """The messages of these steps, five seconds apart. What comes back after it has gone is another incarnation."""
    inputs: list[Input] = []
    at_s = 0.0
    incarnation = dict.fromkeys(REFS, 0)
    for what, ref, figure, status in happened:
        at_s += 5 if what != "wait" else 200
        uid = str(incarnation[ref])
        if what == "pulse":
            custom = {"error_rate": figure, "pending_messages": figure}
            inputs.append((at_s, ref, pulse(at_s, ref, uid=uid, custom=custom)))
        elif what == "entity":
            inputs.append((at_s, ref, entity(ref, status=status, uid=uid, at_s=at_s)))
        elif what == "gone":
            incarnation[ref] += 1
            inputs.append((at_s, ref, None))
    return inputs


def give(scorer: Scorer, one: Input) -> None:
    at_s, ref, what = one
    if isinstance(what, ResourcePulse):
        scorer.on_pulse(what, now=at(at_s), evidence=f"S:{at_s}")
    else:
        scorer.on_topology(what, ref, now=at(at_s), evidence=f"S:{at_s}")


def play(inputs: list[Input]) -> tuple[Scorer, Published]:
    """Give them one after another, time passing, and publish after each."""
    scorer, published = Scorer(CATALOGUE), Published()
    for one in inputs:
        scorer.tick(at(one[0]))
        give(scorer, one)
        published.write(scorer.take())
    scorer.tick(at(END_S))
    published.write(scorer.take())
    return scorer, published


def last_of(inputs: list[Input]) -> list[Input]:
    """The last message of each subject, which is what a state stream holds."""
    return list({(ref, isinstance(what, ResourcePulse)): (at_s, ref, what) for at_s, ref, what in inputs}.values())


def taken(scorer: Scorer) -> list[Health]:
    return [message for message in scorer.take() if isinstance(message, Health)]


class Judge:
    """A scorer of one pod whose latest word is asked for, whether or not it would be published."""

    def __init__(self, status: str = "running") -> None:
        self._scorer = Scorer(CATALOGUE)
        self._scorer.on_topology(entity(status=status), POD, now=at(0), evidence="T:1")
        self._last = next(row for row in taken(self._scorer) if row.ref == POD)

    def after(self, sample: ResourcePulse) -> Health:
        self._scorer.on_pulse(sample, now=sample.timestamp, evidence="P:1")
        self._last = next((row for row in taken(self._scorer) if row.ref == POD), self._last)
        return self._last


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
@example([(0.01, 0.01), (0.03, 0.03), (0.0, 0.01)])
def test_worse_samples_never_raise_the_score(pairs: list[tuple[float, float]]) -> None:
    one, other = Judge(), Judge()
    for index, pair in enumerate(pairs):
        if any(map(math.isnan, pair)):
            continue
        better = one.after(pulse(index, custom={"error_rate": min(pair)}))
        worse = other.after(pulse(index, custom={"error_rate": max(pair)}))
        assert worse.score <= better.score


@given(st.lists(st.dictionaries(st.sampled_from(["error_rate", "requests_per_sec"]), any_floats)), st.floats(0, 1))
def test_no_figure_gives_a_failed_entity_a_better_level(samples: list[dict[str, float | None]], memory: float) -> None:
    judge = Judge("failed")
    for index, custom in enumerate(samples):
        assert judge.after(pulse(index, memory=memory, custom=custom)).score == 0


@given(steps)
def test_missing_samples_never_raise_a_score_and_are_never_health(happened: list[Step]) -> None:
    samples = [one for one in inputs_of(happened) if isinstance(one[2], ResourcePulse)]
    scorer = Scorer(CATALOGUE)
    for ref in REFS:
        scorer.on_topology(entity(ref), ref, now=at(0), evidence="T:1")
    for one in samples:
        give(scorer, one)
    before = {health.ref: health for health in taken(scorer)}
    scorer.tick(at(END_S))
    after = {health.ref: health for health in taken(scorer) if health.aggregate is None}
    assert after.keys() == {ref for _, ref, _ in samples}
    for ref, health in after.items():
        assert health.score <= before[ref].score
        assert health.level != "healthy"


@given(steps, st.permutations(REFS))
def test_order_of_independent_inputs_does_not_matter(happened: list[Step], order: list[Ref]) -> None:
    inputs = inputs_of(happened)
    rows = []
    for arranged in (inputs, sorted(inputs, key=lambda one: order.index(one[1]))):
        scorer, published = Scorer(CATALOGUE), Published()
        for one in arranged:
            give(scorer, one)
        scorer.tick(at(END_S))
        published.write(scorer.take())
        rows.append((published.health, published.alerts))
    assert rows[0] == rows[1]


@given(steps, st.integers(0, 40), st.integers(1, 5))
def test_redelivered_input_changes_nothing(happened: list[Step], first: int, number: int) -> None:
    inputs = inputs_of(happened)
    scorer, published = play(inputs)
    pulses = [one for one in inputs if isinstance(one[2], ResourcePulse)]
    states = [one for one in last_of(inputs) if not isinstance(one[2], ResourcePulse)]
    for one in pulses[first : first + number] + states:
        give(scorer, one)
    assert published.write(scorer.take()) == []


@given(steps, st.sampled_from([list, last_of]))
@example([("entity", REFS[2], None, "failed"), ("entity", REFS[2], None, "running")], list)
def test_restart_publishes_nothing_whether_it_reads_everything_again_or_only_last_messages(
    happened: list[Step], read: Callable[[list[Input]], list[Input]]
) -> None:
    inputs = inputs_of(happened)
    _, published = play(inputs)
    scorer = Scorer(CATALOGUE)
    for row in published.health.values():
        scorer.restore_health(HEALTH.decode(encode(row)))
    for alert in published.alerts.values():
        scorer.restore_alert(ALERT.decode(encode(alert)))
    for one in read(inputs):
        give(scorer, one)
    scorer.caught_up(at(END_S))
    assert published.write(scorer.take()) == []


@given(st.sampled_from(ALL_GRADED), st.floats(min_value=0, max_value=1e12) | st.integers(0, 3).map(float))
def test_a_sentence_has_no_share_beyond_200_percent_and_its_counts_agree_in_number(
    check: GradedCheck, value: float
) -> None:
    if isinstance(check, SeriesCheck):
        text = check.explained(POD, Sample(value, Edge("http", POD), round(value)), value / 2, 3.0)
    else:
        text = found._reason(POD, check, value, 0.3, "KGENTS_PULSE:1").text
    assert [share for share in re.findall(r"([\d,.]+) %", text) if float(share.replace(",", "")) > 200] == []
    noun = check.unit.partition("/")[0].strip("{}").replace("_", " ")
    assert not re.search(rf"(?<![\d.,])1 {noun}s", text) or check.unit in ("s", "1")
    assert text.endswith(".")
    assert "{" not in text
