"""Who writes which cluster, as the leases say, and entities of many clusters to write about."""

from collections import Counter
from collections.abc import Collection, Iterable

from kgents_shared.bus.client import Bus
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import META
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.meta import Lease
from kgents_shared.runtime.partitions import KEPT_S
from kgents_shared.runtime.sharing import instance_of
from support.build import make_entity, make_ref
from support.waiting import eventually

SHARED_S = 30.0 + KEPT_S
"""An instance that was slow to take what is its share leaves it to another one, which keeps it for so long."""


async def holders(bus: Bus, service: str) -> dict[str, str]:
    """Cluster → the instance that holds the lease."""
    view = StateView(bus, META, "KGENTS_META", [subjects.pattern("meta", service=service, instance="lease")])
    await view.load()
    found = {subjects.parse(subject).value("cluster"): row.message for subject, row in view.rows.items()}
    return {
        cluster: instance_of(lease.holder)
        for cluster, lease in found.items()
        if isinstance(lease, Lease) and lease.holder
    }


async def shared(
    bus: Bus, service: str, clusters: Iterable[str], instances: Collection[str], within_s: float = SHARED_S
) -> dict[str, str]:
    """Wait until these instances hold all these clusters and no others, evenly; returns who holds which."""
    wanted = set(clusters)

    async def claim() -> dict[str, str] | None:
        found = await holders(bus, service)
        counts = Counter(found.values())
        even = max(counts[each] for each in instances) - min(counts[each] for each in instances) <= 1
        return found if found.keys() == wanted and set(counts) <= set(instances) and even else None

    return await eventually(claim, within_s)


def entities(clusters: Iterable[str], count: int, **fields: str) -> list[Entity]:
    """So many pods in each cluster, each beside its node."""
    return [
        make_entity(ref=make_ref(f"pod-{number}", cluster=cluster), **fields)
        for cluster in clusters
        for number in range(count)
    ]
