"""Blocked sessions and their blockers → one tree per root, the longest wait first. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from kgents_collector_db.mapping.postgres.sample import Blocked

LINES_MAX: Final = 30
"""Most sessions listed in one tree's text; the rest is a count."""


class Tree(Struct, frozen=True):
    """A session that waits for no lock, and all sessions that wait for it, directly or indirectly."""

    root: Blocked
    blocked: tuple[Blocked, ...]
    is_cycle: bool = False
    """All its sessions wait: a deadlock that the server has not resolved yet."""

    @property
    def held_up(self) -> list[Blocked]:
        """The blocked sessions whose waiting is a fault."""
        return [each for each in self.blocked if each.is_held_up]

    @property
    def longest_wait_s(self) -> float:
        """Seconds that the longest of them has waited."""
        return max((each.stuck_s for each in self.blocked), default=0.0)


def trees(sessions: Iterable[Blocked]) -> list[Tree]:
    """The trees of these sessions. A session blocked by several roots is in the tree of each."""
    by_pid = {each.pid: each for each in sessions}
    waiting_for: dict[int, list[int]] = {}
    for each in by_pid.values():
        for blocker in dict.fromkeys(each.blocked_by):
            waiting_for.setdefault(blocker, []).append(each.pid)
    found: list[Tree] = []
    seen: set[int] = set()
    roots = [pid for pid in waiting_for if not by_pid[pid].blocked_by] if by_pid else []
    # Sessions that no root reaches wait in a cycle.
    for pid in [*roots, *sorted(by_pid)]:
        if pid in seen:
            continue
        behind = _behind(pid, waiting_for)
        seen |= {pid, *behind}
        if behind:
            found.append(Tree(by_pid[pid], tuple(by_pid[each] for each in behind), is_cycle=pid not in roots))
    return sorted(found, key=lambda tree: (-tree.longest_wait_s, tree.root.pid))


def _behind(root: int, waiting_for: dict[int, list[int]]) -> list[int]:
    """All sessions behind this one, the nearest first."""
    order: dict[int, None] = {}
    edge = [root]
    while edge:
        edge = [pid for blocker in edge for pid in waiting_for.get(blocker, ()) if pid not in order and pid != root]
        order.update(dict.fromkeys(edge))
    return list(order)


def described(session: Blocked) -> str:
    """A session as text: its pid, program and state, never its statement."""
    if session.pid == 0:
        return "a prepared transaction"
    program = f" ({session.application_name})" if session.application_name else ""
    return f"pid {session.pid}{program}, {session.state or 'state unknown'}"


def lines(tree: Tree) -> Iterator[str]:
    """The tree as text."""
    yield f"{described(tree.root)}, transaction open for {tree.root.xact_s or 0:.0f} s"
    for each in tree.blocked[:LINES_MAX]:
        behind = ", ".join(str(pid) for pid in dict.fromkeys(each.blocked_by))
        yield f"  {described(each)}: waits {each.wait_s or 0:.0f} s for {each.wait_event or 'a lock'} behind {behind}"
    if len(tree.blocked) > LINES_MAX:
        yield f"  … and {len(tree.blocked) - LINES_MAX} more"
