"""What is usual is learnt, kept over restarts, and not learnt from an incident; a finding says both values."""

import math
import random
from collections.abc import Iterable
from datetime import timedelta
from itertools import count

import pytest
from msgspec import structs

from kgents_health_scorer.baseline import LEARNT_S, Past
from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.checks.check import ADOPTED_S, Sample, SeriesCheck, Thresholds
from kgents_health_scorer.debounce import Window
from kgents_health_scorer.reducer import Scorer
from kgents_health_scorer.same import health_same
from kgents_health_scorer.score import Band
from kgents_health_scorer.series import Judging, Remembered, Series
from kgents_shared.contract.codec import HEALTH, encode
from kgents_shared.contract.health import Baseline, Edge
from kgents_shared.contract.topology import TopologyEntity
from support.health_inputs import INTERVAL_S, POD, Watch, at, entity, pulse
from support.restarted import restore, resume
from support.traffic_inputs import traffic

pytestmark = pytest.mark.unit

LEARNT = round(LEARNT_S / INTERVAL_S)
MINUTE = 60.0


class Busy(Watch):
    """A pod and its CPU, as a share of its limit, sample after sample."""

    def __init__(self, what: TopologyEntity | None = None) -> None:
        super().__init__()
        self.now_s = 0.0
        self.messages = len(self.entity(what or entity()))

    def uses(self, *ratios: float | None, times: int = 1) -> list[str]:
        """The checks that find something after each sample."""
        found = []
        for ratio in ratios * times:
            self.now_s += INTERVAL_S
            sample = pulse(self.now_s, cpu=ratio or 0.0)
            if ratio is None:
                sample = structs.replace(sample, cpu_percent=None, unread=["cpu_percent"])
            self.messages += len(self.pulse(sample))
            found.append(",".join(self.checks()))
        return found

    def learns(self, ratio: float = 0.1) -> "Busy":
        self.uses(ratio, times=LEARNT)
        return self

    def restart(self) -> "Busy":
        """A new process, which reads the last sample once more; it publishes nothing."""
        again = Busy()
        again.published, again.now_s = self.published, self.now_s
        again.scorer = type(self.scorer)(CATALOGUE)
        resume(again.scorer, self, [entity()], at(self.now_s))
        return again


def test_until_it_knows_what_is_usual_it_says_so_and_finds_nothing() -> None:
    pod = Busy()
    assert set(pod.uses(0.1, 0.9 * 0.9, times=LEARNT // 2 - 1)) == {""}
    assert pod.health().learning == ["KG-111"]
    assert pod.health().text == "pod shop/cart-7f is healthy, learning what is usual (KG-111)"
    pod.uses(0.1, 0.1)
    assert pod.health().learning == []
    assert pod.health().text == "pod shop/cart-7f is healthy"


def test_two_of_three_samples_far_above_the_usual_are_a_finding_which_says_both() -> None:
    pod = Busy().learns(0.2)
    assert pod.uses(0.75, 0.2, 0.75) == ["", "", "KG-111"]
    text = "pod shop/cart-7f uses 75 % of its CPU limit, usually 20.1 %."
    assert pod.health().text == f"Warning: {text}"
    (alert,) = pod.published.alerts.values()
    assert (alert.state, alert.text, alert.severity) == ("firing", text, "warning")


def test_one_sample_is_enough_if_it_is_overwhelming() -> None:
    assert Busy().learns(0.05).uses(0.65) == ["KG-111"]


@pytest.mark.parametrize(("usual", "now"), [(0.01, 0.59), (0.4, 0.89), (0.02, 0.0)])
def test_what_is_small_or_hardly_more_than_usual_or_less_is_none(usual: float, now: float) -> None:
    assert set(Busy().learns(usual).uses(now, times=6)) == {""}


def test_what_varies_by_itself_is_not_unusual() -> None:
    """The same share is far off for one and nothing for another."""
    wild, steady = Busy(), Busy().learns(0.2)
    wild.uses(0.1, 0.5, 0.2, 0.7, 0.15, times=LEARNT // 4)
    assert set(wild.uses(0.8, times=5)) == {""}
    assert steady.uses(0.8, times=5)[-1] == "KG-111"


def test_it_ends_after_three_usual_samples_and_at_once_if_there_is_no_limit_any_more() -> None:
    pod = Busy().learns()
    pod.uses(0.8, 0.8)
    assert pod.uses(0.1, 0.1, 0.1) == ["KG-111", "KG-111", ""]
    pod.uses(0.8, 0.8)
    pod.now_s += INTERVAL_S
    pod.pulse(pulse(pod.now_s))
    assert pod.checks() == []


def test_a_figure_that_is_not_known_is_no_sample_and_then_nothing_is_known() -> None:
    pod = Busy().learns()
    before = pod.health().baselines
    pod.uses(0.8, 0.8)
    assert pod.uses(None, times=20)[-1] == "KG-111"
    assert pod.uses(None, times=20)[-1] == "KG-007"
    assert pod.uses(0.1) == [""]
    assert pod.health().baselines == before


def test_of_another_incarnation_nothing_is_usual_yet() -> None:
    pod = Busy(entity(uid="u1")).learns()
    pod.entity(entity(uid="u2"), pod.now_s)
    for _ in range(3):
        pod.now_s += INTERVAL_S
        pod.pulse(pulse(pod.now_s, cpu=0.8, uid="u2"))
    assert pod.checks() == []
    assert pod.health().learning == ["KG-111"]


def test_a_restarted_scorer_knows_what_is_usual_and_publishes_nothing() -> None:
    pod = Busy().learns()
    again = pod.restart()
    assert again.pulse(pulse(pod.now_s, cpu=0.1)) == []
    assert again.uses(0.65, 0.65) == ["", "KG-111"]


def test_a_finding_lasts_over_a_restart_with_its_sentence() -> None:
    pod = Busy().learns()
    pod.uses(0.65, 0.65)
    again = pod.restart()
    assert again.pulse(pulse(pod.now_s, cpu=0.65)) == []
    again.uses(0.65)
    assert again.health().reasons == pod.health().reasons
    assert again.uses(0.1, 0.1, 0.1)[-1] == ""


def test_restarts_while_it_learns_lose_little_of_what_is_learnt() -> None:
    pod = Busy()
    for _ in range(6):
        pod.uses(0.1, times=LEARNT // 3)
        pod = pod.restart()
    assert pod.health().learning == []


def test_what_another_version_has_learnt_is_not_used() -> None:
    old = Baseline("KG-111", "k8s", samples=500, seconds=7200, centre=0.0, spread=0.1, version=2)
    assert not Past(old).is_learnt
    assert Past(Baseline("KG-111", "k8s", samples=500, seconds=7200, centre=0.0, spread=0.1)).is_learnt


def test_an_incident_of_an_hour_is_not_learnt_and_a_change_that_stays_is_within_a_day() -> None:
    pod = Busy().learns()
    pod.uses(0.1, times=720)
    hour = round(3600 / INTERVAL_S)
    assert set(pod.uses(0.7, times=hour)[2:]) == {"KG-111"}
    assert pod.uses(0.1, times=4)[-1] == ""
    pod.uses(0.1, times=hour)
    hours = 0
    while pod.uses(0.7, times=hour)[-1] == "KG-111":
        hours += 1
    assert 1 < hours <= ADOPTED_S / 3600


COMPARED = [each for each in CATALOGUE if isinstance(each, SeriesCheck) and each.usual is not None]


@pytest.mark.parametrize("factor", [8.0, 1_000.0])
@pytest.mark.parametrize("check", COMPARED, ids=lambda check: check.id)
def test_a_level_that_stays_is_usual_within_the_time_that_its_check_says(check: SeriesCheck, factor: float) -> None:
    """Of every check that compares, also with a restart every 40 minutes."""
    assert check.usual is not None
    level = 100.0 / factor if check.usual.way == "below" else 100.0 * factor
    series, judging = Series(), Judging("", timedelta(minutes=5), is_judged=True)

    def is_found(minute: int, value: float) -> bool:
        asked = structs.replace(check, samples=lambda _: [Sample(value, calls=1_000)])
        series.take(asked, traffic(minute * MINUTE), at(minute * MINUTE), Remembered(), judging)
        track = series.tracks[check.id, None]
        if minute % 40 == 0 and (record := track.past.record(check.id, "otel", None)) is not None:
            track.past = Past(record)
        return not track.window.is_quiet

    assert not any(is_found(minute, 100.0) for minute in range(60))
    lasts = next(minutes for minutes in count(1) if not is_found(59 + minutes, level))
    assert 45 < lasts <= check.usual.adopted_s / MINUTE + 15


def test_a_slow_daily_pattern_is_followed() -> None:
    """Three times as much at noon as at night."""
    pod = Busy()
    day = [0.3 + 0.15 * math.sin(2 * math.pi * step / 8640) for step in range(8640)]
    assert set(pod.uses(*day)) == {""}


def test_samples_at_rest_are_hardly_ever_published() -> None:
    random_ = random.Random(1)
    pod = Busy()
    pod.uses(*(0.1 * math.exp(random_.gauss(0, 0.4)) for _ in range(8640)))
    assert pod.messages <= 16
    assert len(encode(pod.health())) < 700


def test_what_is_published_holds_what_is_needed() -> None:
    pod = Busy().learns()
    (known,) = HEALTH.decode(encode(pod.health())).baselines
    assert (known.check, known.source, known.edge, known.version) == ("KG-111", "k8s", None, 1)
    assert math.exp(known.centre) - 0.02 == pytest.approx(0.1, rel=0.01)


def learnt(values: Iterable[float], *, interval_s: float = MINUTE) -> Past:
    past = Past()
    for each in values:
        past.learn(each, 0.001, interval_s)
    return past


def test_the_usual_is_robust_against_single_samples() -> None:
    blips = learnt([0.1] * 60 + [50.0, 0.1, 0.1, 80.0] + [0.1] * 30)
    assert blips.usual(0.001) == pytest.approx(0.1, rel=0.15)


def test_how_unusual_a_value_is_goes_by_factors_not_by_differences() -> None:
    short, long = learnt([0.01] * 30), learnt([1.0] * 30)
    assert short.spreads_above(0.03, 1e-6) == pytest.approx(long.spreads_above(3.0, 1e-6), rel=0.1)


def test_a_resolution_bounds_what_counts_as_different() -> None:
    past = learnt([0.0001] * 30)
    assert past.spreads_above(0.0009, 0.001) < 3 < past.spreads_above(0.009, 0.001)


def test_a_pod_without_a_limit_is_not_judged() -> None:
    pod = Busy()
    for step in range(LEARNT):
        pod.pulse(pulse(step * INTERVAL_S, POD, memory=0.5))
    assert pod.health().learning == []
    assert pod.health().baselines == []


def test_a_single_sample_moves_what_is_usual_by_a_bounded_step() -> None:
    """The same whether it is a thousand times as much or a million times."""
    much, more = learnt([0.1] * 30), learnt([0.1] * 30)
    for past, value in ((much, 1e2), (more, 1e5)):
        past.learn(value, 0.001, MINUTE)
    assert much.usual(0.001) == pytest.approx(more.usual(0.001))
    assert much.usual(0.001) < 0.104


def test_later_samples_count_more_than_those_of_yesterday() -> None:
    """Two hours of twice as much, after two days: by more than half it is the new usual."""
    past = learnt([0.1] * 2880 + [0.2] * 120)
    assert past.usual(0.001) > 0.14


def test_the_sample_that_is_read_once_more_after_a_restart_is_not_learnt_twice() -> None:
    record = Baseline("KG-111", "k8s", samples=20, seconds=1200, centre=0.0, spread=0.1)
    past = Past(record)
    past.learn(1.0, 0.001, MINUTE)
    assert past.samples == 20
    past.learn(1.0, 0.001, MINUTE)
    assert past.samples == 21


def test_what_has_drifted_by_half_a_spread_is_published() -> None:
    past = learnt([0.1] * 300)
    past.record("KG-111", "k8s", None)
    steps = 0
    while not past.has_moved():
        past.learn(0.14, 0.001, MINUTE)
        steps += 1
    assert 20 < steps < 120
    moved = past.record("KG-111", "k8s", None)
    assert moved is not None
    assert math.exp(moved.centre) == pytest.approx(0.12, rel=0.1)


@pytest.mark.parametrize("beyond", [math.inf, -math.inf, math.nan])
def test_a_figure_that_is_no_number_is_not_known(beyond: float) -> None:
    check = next(each for each in CATALOGUE if each.id == "KG-111")
    assert isinstance(check, SeriesCheck)
    odd = structs.replace(check, samples=lambda _: [Sample(beyond)])
    series = Series()
    for step in range(3):
        series.take(odd, pulse(step), at(step), Remembered(), Judging("", timedelta(minutes=5), is_judged=True))
    ((_, track),) = series.tracks.items()
    assert (track.past.samples, track.window.unknown_since) == (0, at(0))


def test_with_a_stricter_threshold_one_sample_is_enough_only_beyond_it() -> None:
    """Settings may put the threshold above the value from which one sample is enough."""
    check = next(each for each in CATALOGUE if each.id == "KG-111")
    assert isinstance(check, SeriesCheck)
    strict = structs.replace(check, thresholds=Thresholds(warn=9.0))
    window, bands = Window(), []
    for value in (7.0, 9.0):
        window.push(strict, value, "")
        bands.append(window.band)
    assert bands == [Band.FINE, Band.WARNING]


def test_a_few_long_samples_are_not_enough_to_know_what_is_usual() -> None:
    assert not learnt([0.1] * 14, interval_s=600.0).is_learnt
    assert learnt([0.1] * 15, interval_s=600.0).is_learnt


def test_a_spread_that_has_grown_is_published() -> None:
    past = learnt([0.1, 0.2] * 200)
    past.record("KG-111", "k8s", None)
    for _ in range(60):
        for value in (0.05, 0.4):
            past.learn(value, 0.001, MINUTE)
    assert past.has_moved()


def test_a_pulse_of_which_nothing_was_read_ends_nothing() -> None:
    pod = Busy().learns()
    pod.uses(0.8, 0.8)
    pod.now_s += INTERVAL_S
    pod.pulse(structs.replace(pulse(pod.now_s), unread=["*"]))
    assert pod.checks() == ["KG-111"]


def test_far_above_the_usual_and_at_the_limit_is_one_alert() -> None:
    pod = Busy().learns()
    pod.uses(0.95, 0.95)
    assert set(pod.checks()) == {"KG-102", "KG-111"}
    assert pod.states() == {"KG-111": "firing"}


def test_what_is_usual_stays_published_though_its_source_is_silent_after_a_restart() -> None:
    pod = Busy().learns()
    known = pod.health().baselines
    again = pod.restart()
    again.entity(entity(status="failed", reason="Error"), pod.now_s + 5)
    assert again.health().level == "critical"
    assert again.health().baselines == known != []


def test_another_source_without_the_figure_does_not_end_what_was_found_before_a_restart() -> None:
    pod = Busy().learns()
    pod.uses(0.8, 0.8)
    again = Busy()
    again.published, again.scorer = pod.published, Scorer(CATALOGUE)
    restore(again.scorer, pod)
    again.scorer.on_topology(entity(), POD, now=at(0), evidence="KGENTS_TOPOLOGY:0")
    for sample in (pulse(pod.now_s, source="other"), pulse(pod.now_s, cpu=0.8)):
        again.scorer.on_pulse(sample, now=at(pod.now_s), evidence="")
    again.scorer.caught_up(at(pod.now_s))
    again.published.write(again.scorer.take())
    assert again.checks() == ["KG-111"]
    assert again.states() == {"KG-111": "firing"}


def test_a_message_holds_until_another_connection_is_named_or_something_is_learnt() -> None:
    pod = Busy().learns()
    pod.uses(0.8, 0.8)
    now = pod.health()
    elsewhere = structs.replace(now, reasons=[structs.replace(now.reasons[0], edge=Edge("http", POD))])
    assert health_same(now, now)
    assert not health_same(now, elsewhere)
    assert not health_same(now, structs.replace(now, learning=["KG-111"]))
    assert not health_same(now, structs.replace(now, baselines=[]))
