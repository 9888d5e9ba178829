from datetime import UTC, datetime, timedelta

import pytest

from kgents_cli.commands.doctor import stream_verdicts
from kgents_cli.kept_copies import copy_verdicts
from kgents_shared.bus import provision
from kgents_shared.bus.jetstream import StreamInfo, StreamState
from kgents_shared.contract.streams import StreamsConfig, copies

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEPT = copies(StreamsConfig(archive_copy_max_bytes=1_000, archive_copy_max_age_s=3_600))[:1]


def held(*, used: int, reach_s: float, messages: int = 9) -> StreamInfo:
    """A copy with so many bytes, whose oldest message is so old."""
    oldest = NOW - timedelta(seconds=reach_s)
    state = StreamState(messages=messages, bytes=used, first_seq=1, first_ts=oldest, last_seq=9)
    return StreamInfo(config={}, created="2026-05-01T00:00:00Z", state=state, ts=NOW)


def test_each_stream_that_differs_has_a_line_and_the_last_one_the_way_out() -> None:
    changes = tuple(provision.Change(f"field_{number}", 1, 2) for number in range(50))
    steps: list[provision.Step] = [
        provision.Unchanged("A"),
        provision.Create("B", {}),
        provision.Update("C", changes, {}),
        provision.Refuse("D", "it holds subjects of others"),
    ]
    verdicts = list(stream_verdicts(steps))
    assert [each.next_step for each in verdicts] == ["", "", "kgents provision"]
    assert verdicts[0].text == "stream B is missing"
    assert verdicts[1].text.startswith("stream C differs: field_0: 1 → 2, field_1")
    assert verdicts[2].text == "refuse D: it holds subjects of others"
    assert max(len(each.text) for each in verdicts) == 160
    assert not any(each.is_ok for each in verdicts)


def test_streams_that_are_all_there_or_all_missing_are_one_line() -> None:
    (there,) = stream_verdicts([provision.Unchanged("A"), provision.Unchanged("B")])
    assert (there.is_ok, there.text) == (True, "JetStream holds all 2 streams in their expected form")
    (missing,) = stream_verdicts([provision.Create("A", {}), provision.Create("B", {})])
    assert (missing.is_ok, missing.next_step) == (False, "kgents provision")
    assert missing.text == "none of the 2 streams of kgents exists yet"


@pytest.mark.parametrize(
    ("info", "is_full"),
    [
        (held(used=990, reach_s=600), True),
        (held(used=500, reach_s=600), False),  # it is young
        (held(used=990, reach_s=3_600), False),  # it keeps for as long as it is to
        (held(used=0, reach_s=1e9, messages=0), False),
    ],
)
def test_a_copy_for_the_archive_that_reaches_less_far_than_it_is_to_is_full(info: StreamInfo, is_full: bool) -> None:
    [found] = copy_verdicts(KEPT, [provision.Unchanged(KEPT[0].name)], {KEPT[0].name: info})
    assert found.is_ok is (None if is_full else True), found
    assert ("is full: it reaches back 10m, expected 1h" in found.text) is is_full


def test_where_no_copies_are_asked_for_nothing_is_said_of_them() -> None:
    assert not list(copy_verdicts((), (), {}))
