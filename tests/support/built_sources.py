"""A reducer of a topology-builder with a source, its heartbeats, and what it has published."""

import pytest
from msgspec import structs

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread
from kgents_topology_builder.difference import same
from kgents_topology_builder.reducer import Reducer
from kgents_topology_builder.sources import STALE_AFTER_NS
from support.attested import stale_of
from support.build import NOW, NOW_NS, make_entity, make_ref

SECOND_NS = 1_000_000_000
BEAT = Heartbeat(
    text="", service="collector-k8s", instance="one", version="1", started_at=NOW, state="in_sync", source="k8s"
)  # fmt: skip


SOURCE = make_ref("k8s", kind="source", namespace="")


class Built:
    """A reducer, and what it has published so far."""

    def __init__(self) -> None:
        self.reducer = Reducer(("k8s", "docker"), now_ns=NOW_NS)
        self.topology: dict[Ref, TopologyEntity] = {}
        self.messages = 0

    def take(self) -> int:
        """How many entities differ since the last call."""
        before = self.messages
        for merged in self.reducer.take():
            if merged.entity is None:
                self.messages += self.topology.pop(merged.ref, None) is not None
            elif merged.ref not in self.topology or not same(self.topology[merged.ref], merged.entity):
                self.topology[merged.ref] = merged.entity
                self.messages += 1
        return self.messages - before

    def beat(self, *unread: Unread, at_s: float = 0, instance: str = "one", **fields: object) -> None:
        state = "degraded" if unread else "in_sync"
        beat = structs.replace(BEAT, instance=instance, unread=list(unread), **{"state": state, **fields})
        self.reducer.heartbeat("test", instance, beat, time_ns=at(at_s))

    def pass_to(self, at_s: float) -> None:
        self.reducer.tick(at(at_s))

    @property
    def stale(self) -> set[str]:
        """Names of the stale entities, as a reader finds them."""
        self.take()
        return {ref.name for ref, sources in stale_of(self.topology.values()).items() if sources}

    @property
    def source(self) -> TopologyEntity:
        self.take()
        return self.topology[SOURCE]


def at(seconds: float) -> int:
    return NOW_NS + int(seconds * SECOND_NS)


@pytest.fixture
def built() -> Built:
    """A builder of a source with two pods and a container, in sync."""
    built = Built()
    built.beat()
    built.reducer.upsert(make_entity("web"), time_ns=NOW_NS)
    built.reducer.upsert(make_entity("db"), time_ns=NOW_NS)
    container = make_entity(ref=make_ref("web", kind="container"), part="engine")
    built.reducer.upsert(container, time_ns=NOW_NS)
    built.take()
    return built


STALE_S = STALE_AFTER_NS / SECOND_NS
