"""What the readings of an edge's copies mean."""

from datetime import UTC, datetime, timedelta

import pytest

from kgents_edge_sync.link import BLOCKED_AFTER_S, TWINS, TWINS_WITHIN_S, WAKE_AGAIN_S, Link, remark
from kgents_shared.bus.edges import DROPPING, SETTLED_S, Copy, dropped, refused
from kgents_shared.bus.jetstream import SourceInfo

HEARD = 1_000_000_000
SILENT = 30_000_000_000


def copy(*, seq: int = 10, lag: int = 0, active: int = HEARD, edge_seq: int = 10, **fields: object) -> Copy:
    source = SourceInfo("KGENTS_ENTITY", lag=lag, seq=seq, active=active)
    return Copy("KGENTS_ENTITY", edge_seq, source, **fields)  # type: ignore[arg-type]  # of the same names


def woken(link: Link, found: Copy, now_s: float) -> list[str]:
    link.read([found], now_s)
    return [*link.to_wake([found], now_s)]


def test_a_copy_that_hears_nothing_is_woken_once_a_minute() -> None:
    link = Link()
    assert woken(link, copy(active=SILENT), 0) == ["KGENTS_ENTITY"]
    assert woken(link, copy(active=SILENT), WAKE_AGAIN_S - 1) == []
    assert woken(link, copy(active=SILENT), WAKE_AGAIN_S) == ["KGENTS_ENTITY"]


def test_one_that_never_heard_anything_is_woken_and_one_that_runs_is_not() -> None:
    assert woken(Link(), copy(active=-1), 0) == ["KGENTS_ENTITY"]
    assert woken(Link(), copy(lag=5), 0) == []


def test_after_each_cut_it_is_woken_at_once() -> None:
    link = Link()
    assert woken(link, copy(active=SILENT), 0)
    link.lost(1)
    assert woken(link, copy(active=SILENT), 2) == ["KGENTS_ENTITY"]


def test_both_sides_are_compared_after_each_cut() -> None:
    link = Link()
    link.is_due = False
    link.lost(1)
    assert link.is_due


def test_both_sides_are_compared_once_a_stream_of_the_hub_went_back_or_one_of_the_edge_is_another() -> None:
    link, one, other = Link(), datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)
    for found, is_due in (
        (copy(seq=10, created_at=one), False),
        (copy(seq=11, created_at=one), False),
        (copy(seq=4, created_at=one), True),  # the hub's was restored from a backup
        (copy(seq=11, created_at=one), False),
        (copy(seq=11, created_at=other), True),  # the edge's was made again
    ):
        link.is_due = False
        link.read([found], 0)
        assert link.is_due == is_due, found


@pytest.mark.parametrize(
    ("off_s", "answers_take_s", "said"),
    [
        (0, 0.01, ""),
        (0, 20, ""),  # a slow link is no wrong clock
        (9, 0.01, ""),
        (45, 0.01, "45 s ahead of the hub's"),
        (-45, 0.01, "45 s behind the hub's"),
        (-45, 20, "25 s behind the hub's"),  # for certain
    ],
)
def test_a_clock_of_the_edge_that_is_wrong_for_certain_is_said(off_s: float, answers_take_s: float, said: str) -> None:
    begun, off = datetime(2026, 5, 1, tzinfo=UTC), timedelta(seconds=off_s)
    moments = [begun + timedelta(seconds=answers_take_s * number) for number in range(8)]
    copies = [copy(edge_at=edge + off, hub_at=hub) for edge, hub in zip(moments[::2], moments[1::2], strict=True)]
    found = remark(copies)
    assert (said in found) if said else found == ""


def test_two_servers_that_answer_as_one_edge_are_a_fault_while_both_do() -> None:
    link, made = Link(), [datetime(2026, 5, day, tzinfo=UTC) for day in (1, 2)]
    for at_s in range(TWINS + 1):
        assert "two servers" not in link.fault([copy()], at_s) if at_s else True
        link.read([copy(created_at=made[at_s % 2])], at_s)
    found = [copy(created_at=made[TWINS % 2])]
    assert "two servers answer as this edge" in link.fault(found, TWINS)
    link.read(found, TWINS + TWINS_WITHIN_S)
    assert link.fault(found, TWINS + TWINS_WITHIN_S) == ""


def test_a_copy_that_waits_and_does_not_advance_is_blocked() -> None:
    link = Link()
    waiting = [copy(seq=7, lag=3)]
    link.read(waiting, 0)
    assert not link.fault(waiting, BLOCKED_AFTER_S)
    assert "blocked at sequence 7" in link.fault(waiting, BLOCKED_AFTER_S + 1)


def test_one_that_advances_is_not_blocked() -> None:
    link = Link()
    link.read([copy(seq=7, lag=3)], 0)
    link.read([copy(seq=8, lag=3)], BLOCKED_AFTER_S)
    assert not link.fault([copy(seq=8, lag=3)], BLOCKED_AFTER_S + 1)


def test_one_that_was_complete_and_waits_only_now_is_not_blocked() -> None:
    link = Link()
    for at_s in (0, 100):
        link.read([copy(seq=7)], at_s)
    waiting = [copy(seq=7, lag=1)]
    link.read(waiting, 101)
    assert not link.fault(waiting, 102)


def test_a_limit_of_the_hub_that_could_refuse_a_message_is_a_fault_before_it_does() -> None:
    link = Link()
    found = [copy(refused="max_msg_size is 1000 at the hub, unlimited at the edge")]
    link.read(found, 0)
    assert "max_msg_size is 1000" in link.fault(found, 0)


def test_a_silent_copy_is_not_complete_though_nothing_waits() -> None:
    assert not copy(active=SILENT).is_complete
    assert not copy(active=-1).is_complete
    assert not copy(lag=1).is_complete
    assert copy().is_complete


def test_a_stream_that_is_new_or_went_back_removes_nothing() -> None:
    assert copy(age_s=SETTLED_S).is_settled
    assert not copy(age_s=SETTLED_S - 1).is_settled
    assert not copy(age_s=SETTLED_S, edge_seq=9, seq=10).is_settled


@pytest.mark.parametrize("limit", ["max_msg_size", *DROPPING])
def test_a_limit_of_the_hub_that_is_tighter_than_the_edges_is_named(limit: str) -> None:
    judge = refused if limit == "max_msg_size" else dropped
    for hub, edge in ((100, 200), (100, -1), (100, 0)):
        assert limit in judge({limit: hub}, {limit: edge})
    for hub, edge in ((100, 100), (200, 100), (-1, 100), (-1, -1), (0, 100)):
        assert judge({limit: hub}, {limit: edge}) == ""
    assert judge({}, {}) == ""


def test_what_the_hub_forgets_is_remarked_and_blocks_nothing() -> None:
    found = [copy(dropped=dropped({"max_age": 600 * 10**9}, {"max_age": 3600 * 10**9}))]
    assert remark(found).startswith("KGENTS_ENTITY: max_age is 600 s at the hub, 3600 s at the edge; try:")
    assert remark([copy()]) == ""
    link = Link()
    link.read(found, 0)
    assert link.fault(found, 0) == ""
    assert "never expire" in dropped({"allow_msg_ttl": False}, {"allow_msg_ttl": True})
    assert "discard is new" in refused({"discard": "new"}, {"discard": "old"})
