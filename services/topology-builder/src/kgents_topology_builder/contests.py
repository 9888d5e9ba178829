"""Entities that stay as they are published for a while, though no source reports them: contested reports → until when.

A message may replace what a source reported and not say that it is gone (an unreadable one, the removal of another
incarnation). Its writer finds that and publishes the entity again; until then it is neither there nor gone. Pure.
"""

import heapq
from collections.abc import Iterator

from kgents_shared.contract.entity import Entity, Ref


class Contests:
    """What is contested, until Unix nanoseconds."""

    def __init__(self) -> None:
        # Subject in the topology → in the entity stream → until when that entity stays as it is published.
        self._until_ns: dict[str, dict[str, int]] = {}
        self._held: list[tuple[int, Ref]] = []  # a heap of those that are only there because of that

    def __bool__(self) -> bool:
        return bool(self._until_ns)

    def note(self, subject: str, until_ns: int) -> None:
        """The message on a subject of the entity stream does not say what its source reports."""
        self._until_ns.setdefault(_published_at(subject), {})[subject] = until_ns

    def settle(self, entity: Entity) -> bool:
        """A source says what an entity is, or that it is gone; returns whether that was contested."""
        if not self._until_ns:
            return False
        subject = entity.ref.subject("entity", source=entity.source)
        return self._until_ns.get(entity.ref.subject("topology"), {}).pop(subject, None) is not None

    def hold(self, ref: Ref, now_ns: int) -> bool:
        """Whether an entity that no source reports stays as it is published; `ended` gives it when that is over."""
        until_ns = max(self._until_ns.get(ref.subject("topology"), {}).values(), default=0)
        if until_ns <= now_ns:
            return False
        heapq.heappush(self._held, (until_ns, ref))
        return True

    def shift(self, begin_ns: int, end_ns: int) -> None:
        """No report could arrive meanwhile: what was contested by then is so for that much longer."""
        away_ns = end_ns - begin_ns
        for until in self._until_ns.values():
            until.update({subject: until_ns + away_ns for subject, until_ns in until.items() if until_ns > begin_ns})

    def ended(self, now_ns: int) -> Iterator[Ref]:
        """The held ones whose time is over."""
        for published_at, until in list(self._until_ns.items()):
            left = {subject: until_ns for subject, until_ns in until.items() if until_ns > now_ns}
            if left:
                self._until_ns[published_at] = left
            else:
                del self._until_ns[published_at]
        while self._held and self._held[0][0] <= now_ns:
            yield heapq.heappop(self._held)[1]


def _published_at(subject: str) -> str:
    """The subject of the topology, for one of the entity stream: the same without the source."""
    root, _, cluster, _, *rest = subject.split(".")
    return ".".join((root, "topology", cluster, *rest))
