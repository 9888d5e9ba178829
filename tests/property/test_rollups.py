"""Laws of what is kept of figures: parts add up however they are divided, counters grow over resets, null is no 0."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgents_archiver.rollup import Carries, Fold, Tally
from kgents_shared.bus.delivery import DELAYED, Delivery
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import EdgeSample, TrafficPulse
from kgents_shared.contract.sketch import Histogram
from kgents_shared.contract.traffic import PEER_MAX, parts_of, subject_of

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
SUBJECT = "kgents.pulse.test.db.database._.orders"
APP = Ref("test", "app", "web")
values = st.one_of(st.none(), st.integers(0, 1_000).map(float))


@given(st.lists(values, max_size=60), st.integers(1, 20))
def test_parts_add_up_however_they_are_divided(samples: list[float | None], size: int) -> None:
    whole, divided = Tally(), [Tally() for _ in range(0, len(samples), size)]
    for number, value in enumerate(samples):
        whole.add(value)
        divided[number // size].add(value)
    known = [value for value in samples if value is not None]
    assert (whole.n, whole.nulls) == (len(known), len(samples) - len(known))
    assert (whole.min, whole.max) == (min(known, default=None), max(known, default=None))
    assert whole.sum == (sum(known) if known else None), "nothing known is no zero"
    assert (sum(each.n for each in divided), sum(each.nulls for each in divided)) == (whole.n, whole.nulls)
    assert sum(each.sum or 0.0 for each in divided) == (whole.sum or 0.0)


@given(st.lists(st.tuples(st.floats(0, 1_000), st.booleans()), min_size=1, max_size=60), st.integers(1, 90))
def test_a_counter_grows_by_what_was_counted_over_borders_and_resets(
    steps: list[tuple[float, bool]], every_s: int
) -> None:
    """The sum of all minutes is what the source counted, but for what came before its first sample."""
    carries: Carries = {}
    fold = Fold()
    count, counted = 0.0, 0.0
    for number, (grown, has_reset) in enumerate(steps):
        before = count
        count = grown if has_reset else count + grown
        is_seen = has_reset and count < before  # a reset that nobody can see looks like growth
        if number:
            counted += count if is_seen else count - before
        fold.add(SUBJECT, BEGAN + timedelta(seconds=number * every_s), {"morphisms": count, "gauge": count}, carries)
    found = [part.figures["morphisms"].increase for part in fold.parts()]
    assert abs(sum(each or 0.0 for each in found) - counted) <= 1e-6 * max(counted, 1.0)
    assert all(part.figures["gauge"].increase is None for part in fold.parts()), "a gauge does not grow"


def test_a_sample_that_came_late_is_no_reset() -> None:
    carries: Carries = {}
    fold = Fold()
    for second, value in ((0, 10.0), (30, 30.0), (15, 20.0), (45, 40.0)):
        fold.add(SUBJECT, BEGAN + timedelta(seconds=second), {"morphisms": value}, carries)
    (part,) = fold.parts()
    assert (part.figures["morphisms"].increase, part.figures["morphisms"].n) == (30.0, 4)


def test_what_no_one_can_have_measured_is_not_known() -> None:
    """PostgreSQL refuses a sum that no float holds, and would go on refusing that minute."""
    fold = Fold()
    huge = {"memory_bytes": 10**400, "x": 1e308, "y": -1e308, "z": 1.0}
    fold.add(SUBJECT, BEGAN, huge, {})
    assert {name: each.n for name, each in fold.parts()[0].figures.items()} == {
        "memory_bytes": 0, "x": 0, "y": 0, "z": 1,
    }  # fmt: skip
    pulse = TrafficPulse(
        ref=APP, source="otel", timestamp=BEGAN, interval_s=10,
        edges=[EdgeSample(peer="a.b:80", kind="http", n=1e300, spans=1, client_ms=Histogram(counts=[10**400]))],
    )  # fmt: skip
    assert fold.take(APP.subject("pulse", source="otel"), BEGAN, encode(pulse), {})


@pytest.mark.parametrize("stated", ["nan", "inf", "1e300", "-5", "x"])
def test_a_delay_that_is_none_is_none(stated: str) -> None:
    assert Delivery("s", b"", {DELAYED: stated}, 1, 1, 1, 0).delay_s == 0.0


@given(st.text(min_size=1, max_size=80))
def test_the_name_of_a_peer_is_read_as_it_was(peer: str) -> None:
    subject = APP.subject("pulse", source="otel")
    found = subject_of(subject, peer)
    assert found.count(".") == subject.count(".") + 1
    assert len(found) < 1_300
    assert parts_of(found) == (subject, peer) or len(quote(peer, safe="")) > PEER_MAX - 2 * len(peer)


def test_a_name_that_no_table_takes_is_written_otherwise() -> None:
    fold = Fold()
    fold.add(SUBJECT, BEGAN, {"a\x00b": 1.0, "x" * 500: 2.0}, {})
    assert sorted(map(len, fold.parts()[0].figures)) == [3, 200]
    assert not any("\x00" in name for name in fold.parts()[0].figures)
