"""Who claims a name, and to which of them it leads: claims by rank → at most two candidates. Pure.

A name is claimed by several when an address is reused: by a Job that has finished and a pod that runs, or by all pods
on the network of their node. Every builder has to pick the same one, so a running claimant comes before a finished one,
and among those the smallest ref.
"""

from bisect import bisect_left, insort
from typing import Final

from kgents_shared.contract.entity import Entity, Ref

CLAIMANTS_MAX: Final = 256
"""A name that more entities claim at once leads nowhere. Beyond a node's worth of pods on its network, the smallest ref
is a guess; and each time it changed, all that use the name would be published again."""
FINISHED: Final = frozenset({"succeeded", "failed"})

Name = Ref | tuple[str, str]
"""How a peer is named: by its ref, or by (cluster, alias). Addresses repeat between clusters, so both count."""
Claim = tuple[bool, Ref]
"""Whether the claimant has finished, and its ref: in the order of their rank."""
Candidates = tuple[Ref, ...] | None
"""The two best claimants (an entity is never its own peer); None: too many claim it."""


def is_finished(entity: Entity) -> bool:
    """Whether it no longer answers on its addresses."""
    return entity.status in FINISHED


class Claims:
    """Name → claims, each as often as it was added; a name without claims takes no memory."""

    def __init__(self) -> None:
        self.ambiguous: set[Name] = set()
        """Names with more than CLAIMANTS_MAX claims of the best rank."""
        self._claims: dict[Name, list[Claim]] = {}

    def __bool__(self) -> bool:
        return bool(self._claims)

    def candidates(self, name: Name) -> Candidates:
        """To whom a name leads."""
        claims = self._claims.get(name)
        if claims is None:
            return ()
        if name in self.ambiguous:
            return None
        first = claims[0][1]
        if len(claims) == 1:  # nearly always
            return (first,)
        return (first, *(next(((ref,) for _, ref in claims if ref != first), ())))

    def add(self, name: Name, claim: Claim) -> bool:
        """Whether the name leads elsewhere now."""
        claims = self._claims.get(name)
        if claims is None:
            self._claims[name] = [claim]
            return True
        before = self.candidates(name)
        insort(claims, claim)
        return self._differs(name, before)

    def discard(self, name: Name, claim: Claim) -> bool:
        """Whether the name leads elsewhere now."""
        claims = self._claims[name]
        before = self.candidates(name)
        del claims[bisect_left(claims, claim)]
        if not claims:
            del self._claims[name]
        return self._differs(name, before)

    def rerank(self, name: Name, before: Claim, after: Claim) -> bool:
        """Replace a claim by another one of the same entity; whether the name may lead elsewhere now."""
        claims = self._claims[name]
        if len(claims) == 1:  # nearly always
            claims[0] = after
            return False
        moved = self.add(name, after)
        return self.discard(name, before) or moved

    def _differs(self, name: Name, before: Candidates) -> bool:
        claims = self._claims.get(name, [])
        running = bisect_left(claims, (True,))
        if (running or len(claims)) > CLAIMANTS_MAX:
            self.ambiguous.add(name)
        else:
            self.ambiguous.discard(name)
        return self.candidates(name) != before
