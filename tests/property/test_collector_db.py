"""Laws of collector-db's mapping, for any input."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgents_collector_db.breaker import Breaker
from kgents_collector_db.mapping.postgres import blocking
from kgents_collector_db.mapping.postgres.sample import Blocked

pytestmark = pytest.mark.property

PIDS = st.integers(0, 8)
EDGES = st.dictionaries(PIDS, st.lists(PIDS, max_size=3), max_size=9)


def sessions(edges: dict[int, list[int]]) -> list[Blocked]:
    """All sessions that wait or block."""
    pids = {*edges, *(pid for blockers in edges.values() for pid in blockers)}
    return [Blocked(pid, "app", "active", "", 1.0, None, 2.0, edges.get(pid, [])) for pid in sorted(pids)]


@given(EDGES)
def test_every_session_that_waits_is_behind_some_root_and_no_root_waits_unless_in_a_circle(
    edges: dict[int, list[int]],
) -> None:
    found = blocking.trees(sessions(edges))
    waiting = {pid for pid, blockers in edges.items() if set(blockers) - {pid}}
    behind = {each.pid for tree in found for each in tree.blocked}
    roots = {tree.root.pid for tree in found}
    assert waiting <= behind | roots
    for tree in found:
        assert tree.root.pid not in {each.pid for each in tree.blocked}
        assert tree.is_cycle == bool(tree.root.blocked_by)


@given(EDGES)
def test_the_order_in_which_the_server_lists_sessions_makes_no_difference(edges: dict[int, list[int]]) -> None:
    listed = sessions(edges)
    there, back = blocking.trees(listed), blocking.trees(reversed(listed))
    assert [tree.root for tree in there] == [tree.root for tree in back]
    assert [{each.pid for each in tree.blocked} for tree in there] == [
        {each.pid for each in tree.blocked} for tree in back
    ]


@given(EDGES)
def test_a_tree_as_text_is_bounded_and_names_its_root_first(edges: dict[int, list[int]]) -> None:
    for tree in blocking.trees(sessions(edges)):
        lines = list(blocking.lines(tree))
        assert lines[0].startswith(blocking.described(tree.root))
        assert len(lines) <= blocking.LINES_MAX + 2


@given(st.lists(st.sampled_from([None, "frozen", "refused"])), st.integers(1, 5))
def test_the_breaker_is_open_only_after_that_many_harmful_failures_in_a_row(causes: list[Any], limit: int) -> None:
    breaker, in_a_row, now_s = Breaker(limit, 60.0), 0, 0.0
    for cause in causes:
        now_s += 100.0  # every pause is over
        breaker.note(cause, now_s, jitter=0)
        in_a_row = in_a_row + 1 if cause == "frozen" else 0
        assert breaker.is_open(now_s) == (in_a_row >= limit)
