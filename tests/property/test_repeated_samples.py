"""Any samples of a program → each change is published at once, and a reader never waits for longer than was said."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from kgents_collector_host.mapping.repeats import ALIKE, POLLS, Repeats
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import Pulse, ResourcePulse

INTERVAL_S = 15.0
START = datetime(2026, 1, 1, tzinfo=UTC)
figures = st.lists(st.tuples(st.sampled_from((0.0, 50.0, None)), st.integers(1, 12)), min_size=1, max_size=6)
"""What a program uses, and for how many polls."""


def sample(poll: int, percent: float | None) -> Pulse:
    at = START + timedelta(seconds=INTERVAL_S * poll)
    return ResourcePulse(
        ref=Ref("c", "process", "nginx", "web-1"),
        source="host-web-1",
        timestamp=at,
        interval_s=INTERVAL_S,
        cpu_percent=percent,
        unread=["cpu_percent"] if percent is None else [],
    )


@given(figures)
def test_a_reader_knows_what_each_poll_found(spans: list[tuple[float | None, int]]) -> None:
    repeats = Repeats()
    polls = [percent for percent, count in spans for _ in range(count)]
    last: Pulse | None = None
    alike = 0
    for poll, percent in enumerate(polls):
        now = sample(poll, percent)
        alike = alike + 1 if poll and polls[poll - 1] == percent else 1
        for each in repeats.due([now]):
            assert structs.replace(each, interval_s=INTERVAL_S) == now
            last = each
        assert last is not None
        assert structs.replace(last, timestamp=now.timestamp, interval_s=INTERVAL_S) == now
        assert (now.timestamp - last.timestamp).total_seconds() < last.interval_s
        if alike <= ALIKE:  # as many as a verdict looks back at
            assert last.timestamp == now.timestamp


def test_what_stays_the_same_is_published_once_a_minute() -> None:
    repeats = Repeats()
    published = [poll for poll in range(ALIKE + 3 * POLLS) if repeats.due([sample(poll, 0.0)])]
    assert published == [*range(ALIKE), ALIKE - 1 + POLLS, ALIKE - 1 + 2 * POLLS, ALIKE - 1 + 3 * POLLS]


def test_one_that_is_gone_and_comes_again_begins_again() -> None:
    repeats = Repeats()
    for poll in range(ALIKE + 1):
        repeats.due([sample(poll, 0.0)])
    assert not repeats.due([])
    assert repeats.due([sample(ALIKE + 2, 0.0)])
