"""Pure. How the instances of a service share its clusters: heartbeats and leases → who should hold which cluster.

Every instance computes the same from what KGENTS_META holds, so no instance coordinates the others. Whether one may
write is decided by the lease alone: where two know different messages, both may want a cluster, and one gets it.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import msgspec

from kgents_shared.contract import subjects
from kgents_shared.contract.meta import LEASE, DeadLetter, Heartbeat, Lease, Meta

COLLECTOR: Final = "collector-"
"""How the names of services begin that publish what they observe."""

OF_PLACES: Final = ("collector-host",)
"""Services that observe one place each, and are called after it."""

_IDLE_STATES: Final = ("starting", "standby", "stopped")
"""In which an instance of an earlier version writes nothing."""


def installed_as(service: str) -> str:
    """The service to run, of the name under which it reports: `collector-host-web-1` → `collector-host`."""
    return next((each for each in OF_PLACES if service.startswith(f"{each}-")), service)


class Member(msgspec.Struct, frozen=True):
    """One instance that is alive."""

    clusters: frozenset[str] = frozenset()
    """Those that it may hold; empty: all."""
    homes: frozenset[str] = frozenset()
    """Its own cluster; of several processes under one name, all of theirs."""
    wants: frozenset[str] = frozenset()
    """Those that it would hold if another instance released them."""

    def may_hold(self, cluster: str) -> bool:
        """Whether its configuration admits the cluster."""
        return not self.clusters or cluster in self.clusters


class Roster:
    """The instances of a service and the leases on its clusters, as KGENTS_META holds them."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        """Cluster → the instance that holds its lease."""
        self._beats: dict[tuple[str, str], Heartbeat] = {}  # by cluster and instance
        self._lapsed: set[str] = set()  # instances of which a lease ran out, and no heartbeat came since

    def note(self, subject: str, old: Meta | None, new: Meta | None) -> bool:
        """Take over one subject's change; returns whether it matters to `members`, `held` or `is_taken`."""
        tokens = subjects.parse(subject)
        cluster, instance = tokens.value("cluster"), tokens.tokens["instance"]
        if isinstance(old, DeadLetter) or isinstance(new, DeadLetter):
            return False
        if instance == LEASE:
            return self._note_lease(cluster, old, new)
        return self._note_beat((cluster, subjects.unescape(instance)), new)

    def _note_lease(self, cluster: str, old: Meta | None, new: Meta | None) -> bool:
        before = self.held.pop(cluster, None)
        if isinstance(new, Lease) and new.holder:
            self.held[cluster] = instance_of(new.holder)
        elif new is None and isinstance(old, Lease) and old.holder:  # it ran out: most likely its holder is dead
            self._lapsed.add(instance_of(old.holder))
            return True
        return self.held.get(cluster) != before

    def _note_beat(self, place: tuple[str, str], new: Meta | None) -> bool:
        before = self._beats.pop(place, None)
        if not isinstance(new, Heartbeat):
            return before is not None
        self._beats[place] = new
        is_back = place[1] in self._lapsed
        self._lapsed.discard(place[1])
        return is_back or before is None or _standing(before) != _standing(new)

    def members(self) -> dict[str, Member]:
        """The instances that are alive. One whose lease ran out is not, until its next heartbeat."""
        found: dict[str, Member] = {}
        for (cluster, instance), beat in self._beats.items():
            share = beat.share
            is_announced = share is not None and share.home == cluster and beat.state != "stopped"
            if share is not None and is_announced and instance not in self._lapsed:
                member = Member(frozenset(share.clusters), frozenset((cluster,)), frozenset(share.wants))
                found[instance] = both(found[instance], member) if instance in found else member
        return found

    def is_taken(self, cluster: str) -> bool:
        """Whether an instance of an earlier version writes a cluster. Its one lease covers all that it writes."""
        return any(
            beat.share is None and beat.state not in _IDLE_STATES and _publishes(beat, cluster)
            for beat in self._beats.values()
        )


def instance_of(holder: str) -> str:
    """The instance that a lease names beside the process."""
    return holder.rpartition("/")[0] or holder


def assign(clusters: Collection[str], members: Mapping[str, Member], held: Mapping[str, str]) -> dict[str, str]:
    """Which member should hold each cluster; one that no member may hold is left out.

    Shares differ by one at most, unless what members may hold forbids it. A holder keeps what it holds up to its share,
    so only what must move does. The rest goes by rendezvous hashing: the pairs of cluster and member in the order of
    their hashes, as long as the member has room. So the order in which members take what is theirs does not matter:
    what is held already leaves the rest as it was.
    """
    names = sorted(each for each in clusters if any(member.may_hold(each) for member in members.values()))
    if not names:
        return {}
    floor, extra = divmod(len(names), len(members))
    holdings: dict[str, list[str]] = {each: [] for each in members}
    for cluster in names:
        holder = held.get(cluster, "")
        if holder in members and members[holder].may_hold(cluster):
            holdings[holder].append(cluster)
    most_first = sorted(members, key=lambda each: (-len(holdings[each]), each))
    larger = {each for each in most_first[:extra] if len(holdings[each]) > floor}  # a share of one more
    assigned: dict[str, str] = {}
    for member, holding in holdings.items():
        share = floor + (member in larger)
        assigned.update(dict.fromkeys(heapq.nlargest(share, holding, key=lambda each: _rank(each, member)), member))
    counts = Counter(assigned.values())
    for _, cluster, member in _pairs(names, members, assigned):
        is_full = counts[member] >= floor and (member in larger or len(larger) == extra)
        if cluster not in assigned and not is_full:
            larger |= {member} if counts[member] == floor else set()
            counts[member] += 1
            assigned[cluster] = member
    _assign_rest(names, members, held, assigned)
    return assigned


def _pairs(
    names: Collection[str], members: Mapping[str, Member], assigned: Mapping[str, str]
) -> list[tuple[int, str, str]]:
    """Each cluster that is not assigned with each member that may hold it, the highest hash first."""
    free = [each for each in names if each not in assigned]
    pairs = [
        (_rank(cluster, name), cluster, name)
        for cluster in free
        for name, member in members.items()
        if member.may_hold(cluster)
    ]
    return sorted(pairs, reverse=True)


def _assign_rest(
    names: Collection[str], members: Mapping[str, Member], held: Mapping[str, str], assigned: dict[str, str]
) -> None:
    """What only members may hold whose share is complete: its holder keeps it, or the one with the fewest takes it."""
    counts = Counter(assigned.values())
    for cluster in names:
        if cluster not in assigned:
            able = [each for each in members if members[each].may_hold(cluster)]
            holder = held.get(cluster, "")
            chosen = holder if holder in able else min(able, key=lambda each: (counts[each], -_rank(cluster, each)))
            assigned[cluster] = chosen
            counts[chosen] += 1


@lru_cache(maxsize=65_536)
def _rank(cluster: str, member: str) -> int:
    return int.from_bytes(blake2b(f"{cluster}\0{member}".encode(), digest_size=8).digest())


def _standing(beat: Heartbeat) -> object:
    """What others decide by."""
    return beat.share, beat.state in _IDLE_STATES, beat.state == "stopped", beat.publishes


def both(one: Member, other: Member) -> Member:
    """Two processes under one name: the instance may hold what either may."""
    clusters = one.clusters | other.clusters if one.clusters and other.clusters else frozenset[str]()
    return Member(clusters, one.homes | other.homes, one.wants | other.wants)


def _publishes(beat: Heartbeat, cluster: str) -> bool:
    token = subjects.escape(cluster)
    return any(filter_.split(".")[2:3] in (["*"], [token]) for filter_ in beat.publishes)
