"""Which instance of each service holds which cluster, as the leases and heartbeats in KGENTS_META say."""

from collections.abc import Iterator, Mapping

import msgspec

from kgents_shared.contract import subjects
from kgents_shared.contract.meta import Heartbeat, Lease
from kgents_shared.runtime.sharing import COLLECTOR, Roster


class Holding(msgspec.Struct, frozen=True):
    """How the instances of one service share its clusters."""

    service: str
    held: dict[str, list[str]]
    """Each live instance, and each holder of a lease → the clusters that it writes."""
    free: list[str]
    """Those that a collector reports or an instance is at home in, and which have no holder at this moment."""
    barred: list[str]
    """Those among them that no live instance may write by its configuration."""


def holdings(meta: Mapping[str, object]) -> Iterator[Holding]:
    """One for each service that has live instances, by name.

    Args:
        meta: subject → message, without heartbeats that are too old to count.
    """
    rosters: dict[str, Roster] = {}
    reported: set[str] = set()
    for subject, message in meta.items():
        tokens = subjects.parse(subject)
        service = tokens.tokens["service"]
        if isinstance(message, Heartbeat | Lease):
            rosters.setdefault(service, Roster()).note(subject, None, message)
        if isinstance(message, Heartbeat) and service.startswith(COLLECTOR):
            reported.add(tokens.value("cluster"))
    for service, roster in sorted(rosters.items()):
        members = roster.members()
        if not members:
            continue
        homes = {home for member in members.values() for home in member.homes}
        needed = homes if service.startswith(COLLECTOR) else homes | reported
        free = sorted(needed - roster.held.keys())
        barred = [each for each in free if not any(member.may_hold(each) for member in members.values())]
        held: dict[str, list[str]] = {each: [] for each in sorted(members)}
        for cluster, instance in sorted(roster.held.items()):
            held.setdefault(instance, []).append(cluster)
        yield Holding(service, held, free, barred)
