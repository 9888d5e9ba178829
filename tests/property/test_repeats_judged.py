"""Samples that collector-host leaves out change no verdict: health-scorer finds the same with them and without."""

import math
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kgents_collector_host.mapping.repeats import POLLS, Repeats
from kgents_health_scorer.checks.status import SILENT
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import Pulse, ResourcePulse
from support.health_inputs import Watch, at, entity

pytestmark = pytest.mark.property

INTERVAL_S = 15.0
TICK_S = 5.0
SILENT_LATER_S = (POLLS - 1) * INTERVAL_S * 3
"""A source is silent after three samples that stand for a minute each, in place of 15 s."""
UNKNOWN_LATER_S = (POLLS - 1) * INTERVAL_S
"""That a figure has not been known for five minutes is noticed with the next sample that does not know it."""
ENDS_FIRST_S = UNKNOWN_LATER_S + INTERVAL_S
"""Where that is only noticed when the figure is known again, and bad: its alert ends before it is pending again."""
PROGRAM = Ref("c1", "process", "nginx", "web-1")
KINDS = (PROGRAM, Ref("c1", "host", "web-1"), Ref("c1", "filesystem", "/var", "web-1"), Ref("c1", "unit", "a", "web-1"))
SOURCE = "host-web-1"

Figures = tuple[float | None, float | None]
Span = tuple[str, Figures, int]
"""What is so, with which figures, for how many polls."""

ratios = st.sampled_from([0.1, 0.1, 0.84, 0.86, 0.92, 0.96, 1.0, None])
spans: st.SearchStrategy[list[Span]] = st.lists(
    st.tuples(
        st.sampled_from(["running", "running", "running", "running", "slow", "unseen", "failed", "restart"]),
        st.tuples(ratios, ratios),
        st.sampled_from([1, 1, 2, 3, 4, 5, 6, 7, 12, 21, 30]),
    ),
    min_size=1,
    max_size=8,
)


def sample(ref: Ref, at_s: float, figures: Figures, read_at_s: float | None) -> Pulse:
    memory, ratio = figures
    names = {
        "process": ("open_files_ratio",),
        "host": ("open_files_ratio", "clock_unsynchronized_s"),
        "filesystem": ("used_ratio", "full_in_s"),
        "unit": ("unit_restarts_recent",),
    }[ref.kind]
    scale = {"clock_unsynchronized_s": 650.0, "full_in_s": 90_000.0, "unit_restarts_recent": 3.4}
    custom = {name: ratio * scale.get(name, 1.0) if ratio is not None else None for name in names}
    return ResourcePulse(
        ref=ref,
        source=SOURCE,
        timestamp=at(at_s),
        interval_s=INTERVAL_S,
        uid="u1",
        memory_bytes=round(memory * 1000) if memory is not None else None,
        memory_limit_bytes=1000,
        custom=custom,
        unread=["memory_bytes"] if memory is None else [],
        read_at={name: at(read_at_s) for name in names} if read_at_s is not None else {},
    )


class Judged:
    """Two scorers of one entity: one is sent every sample, the other one what is published."""

    def __init__(self, ref: Ref) -> None:
        self._ref = ref
        self._now_s = 0.0
        self._repeats = Repeats()
        self._every, self._published = Watch(), Watch()
        self._differs_s: Counter[str] = Counter()
        self._is_known = True
        self._later_s = 0.0
        self.left_out = 0

    def play(self, span: Span) -> None:
        what, figures, polls = span
        if what != "unseen":
            was_known, self._is_known = self._is_known, None not in figures
            self._later_s = UNKNOWN_LATER_S if not self._is_known else 0.0 if was_known else ENDS_FIRST_S
        elif self._later_s:
            self._later_s = math.inf  # no sample says so
        if what in ("failed", "restart"):
            for status in ("failed",) if what == "failed" else ("failed", "running"):
                for each in (self._every, self._published):
                    each.entity(entity(self._ref, status, uid="u1", at_s=self._now_s, sources=[SOURCE]), self._now_s)
        for poll in range(polls):
            if what == "unseen":
                self._repeats.due([])
            else:
                read_at_s = self._now_s - poll % 3 * INTERVAL_S if what == "slow" else None
                self._poll(sample(self._ref, self._now_s, figures, read_at_s))
            self._pass_time()

    def _poll(self, pulse: Pulse) -> None:
        assert isinstance(pulse, ResourcePulse)
        self._every.pulse(pulse)
        published = self._repeats.due([pulse])
        self.left_out += not published
        for each in published:
            assert isinstance(each, ResourcePulse)
            self._published.pulse(each)
        self._compare(0.0)

    def _pass_time(self) -> None:
        for _ in range(round(INTERVAL_S / TICK_S)):
            self._now_s += TICK_S
            for each in (self._every, self._published):
                each.tick(self._now_s - 0.001)
            self._compare(TICK_S)

    def _compare(self, passed_s: float) -> None:
        every, published = (found(each, self._ref) for each in (self._every, self._published))
        differ = {each[0] for each in every ^ published}
        self._differs_s = Counter({check: self._differs_s[check] + passed_s for check in differ})
        for check, seconds in self._differs_s.items():
            later_s = SILENT_LATER_S if check == SILENT else self._later_s
            assert seconds <= later_s, (check, self._now_s, every, published)


def found(watch: Watch, ref: Ref) -> set[tuple[str, ...]]:
    """What is found now, and what may be; how bad it is."""
    alerts = (each for (of, _), each in watch.published.alerts.items() if of == ref and each.state != "resolved")
    reasons = watch.health(ref).reasons if ref in watch.published.health else ()
    return {*((each.check,) for each in reasons), *((each.check, each.state, each.severity) for each in alerts)}


def unknown_for(polls: int) -> list[Span]:
    """A figure that is bad, not known for about as long as what was found by it stays, and good again."""
    bad, good, unknown = (1.0, 1.0), (0.1, 0.1), (None, None)
    return [("running", bad, 4), ("running", unknown, polls), ("running", good, 8)]


@given(st.sampled_from(KINDS), spans)
@example(PROGRAM, unknown_for(19))
@example(PROGRAM, unknown_for(20))
@example(PROGRAM, unknown_for(21))
@example(PROGRAM, unknown_for(22))
@example(PROGRAM, unknown_for(23))
@settings(max_examples=150)
def test_what_is_left_out_changes_no_verdict(ref: Ref, schedule: list[Span]) -> None:
    judged = Judged(ref)
    for span in [("restart", (0.1, 0.1), 1), *schedule]:
        judged.play(span)


def test_most_samples_that_repeat_are_left_out() -> None:
    """Or the law would hold of a collector that sends them all."""
    judged = Judged(PROGRAM)
    judged.play(("running", (0.1, 0.1), 43))
    assert judged.left_out == 30
