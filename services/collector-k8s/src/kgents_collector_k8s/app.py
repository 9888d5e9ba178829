"""collector-k8s at work: reflectors → inventory → the entity state table; Events → log; usage → pulses."""

import asyncio
from collections import defaultdict
from collections.abc import Collection
from typing import Any, Final

import structlog
from msgspec import Struct

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.happenings import Happenings
from kgents_collector_k8s.inventory import Inventory
from kgents_collector_k8s.mapping.fragment import SOURCE, Kind, Scope
from kgents_collector_k8s.objects.metadata import Metadata
from kgents_collector_k8s.overflow import Overflow
from kgents_collector_k8s.source import ApiClient, ApiError, Key, Probe, Reflector
from kgents_collector_k8s.usage import Usage
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, encode
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.errors import ConfigError
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.wire import REMOVE
from kgents_shared.runtime.service import Context, Service

SELECTED: Final = frozenset(
    {"pods", "deployments", "statefulsets", "daemonsets", "jobs", "cronjobs", "services", "ingresses"}
)
"""What a label selector chooses among; ReplicaSets, slices and policies only say something of these."""
WITHIN: Final = {"container": "pod"}
"""Kinds that live inside the object of another kind."""
NAMED: Final = ("configmap", "secret")
"""Kinds that are only named by others."""
BREATH: Final = 100
"""Entities dealt with before others get their turn."""

_log = structlog.get_logger(__name__)


async def run(context: Context[Config]) -> None:
    """Watch for as long as this instance holds the lease."""
    config = context.config
    collector = _Collector(context)
    await collector.load()
    async with ApiClient(config.kubeconfig_path, config.context, context.clock) as client, asyncio.TaskGroup() as tasks:
        _log.info("watching a cluster", server=client.url, cluster=context.cluster)
        await collector.check_identity(client)
        tasks.create_task(collector.table.run())
        for reflector in collector.reflectors(client):
            tasks.create_task(reflector.run())
        collector.probe = Probe(client, context.clock, collector.news)
        tasks.create_task(collector.probe.run())
        tasks.create_task(collector.publish())
        tasks.create_task(collector.count_overflow())
        collector.usage = Usage(context, client, collector.inventory, collector.scope, collector.news)
        tasks.create_task(collector.usage.run())
        if config.events:
            collector.happenings = Happenings(context, client, collector.scope, collector.news)
            tasks.create_task(collector.happenings.run())


class _Identified(Struct, frozen=True):
    metadata: Metadata


class _Collector:
    """One observed cluster."""

    def __init__(self, context: Context[Config]) -> None:
        self.context = context
        self.scope = Scope(context.cluster)
        self.table: StateTable[Entity] = context.writer(
            ENTITY, [subjects.pattern("entity", cluster=context.cluster, source=SOURCE)]
        )
        self.table.pack(lambda entity: entity.ref.kind)
        context.status.writes_log(
            [subjects.pattern(signal, cluster=context.cluster, source=SOURCE) for signal in ("pulse", "event")]
        )
        self.inventory = Inventory(context.cluster, self._published)
        self.happenings: Happenings | None = None
        self.usage: Usage | None = None
        self.probe: Probe | None = None
        self.news = asyncio.Event()
        self._reflectors: list[Reflector[Any]] = []
        self._withheld: set[Ref] = set()  # gone, as far as is seen; what is not seen may still tell of them
        self._swept: set[tuple[str, str]] | None = None  # what was unseen when the rows were last swept
        self._before: defaultdict[str, set[Key]] = defaultdict(set)  # kind → what was published when we began
        self.overflow = Overflow(context.cluster, context.config.max_objects)

    async def load(self) -> None:
        """Read what is published."""
        await self.table.load(now_ns=self.context.now_ns())
        watched = {kind.kind for kind in self.context.config.kinds}
        for number, row in enumerate(self.table.rows.values()):
            ref = row.message.ref
            if ref.kind in watched:
                self._before[ref.kind].add((ref.namespace, ref.name))
            if number % BREATH == BREATH - 1:
                await asyncio.sleep(0)

    def reflectors(self, client: ApiClient) -> list[Reflector[Any]]:
        """One for each resource, and for each namespace if only some are watched."""
        config = self.context.config
        for kind in config.kinds:
            selector = config.label_selector if kind.place in SELECTED else ""
            for namespace in config.namespaces or [""]:
                sink = _Sink(self, kind, namespace)
                made = Reflector(client, kind, sink, self.context.clock, namespace=namespace, selector=selector)
                made.changed = self.news
                self._reflectors.append(made)
        return self._reflectors

    async def check_identity(self, client: ApiClient) -> None:
        """A name that meant another cluster until now must not be used for this one: everything would be removed.

        Raises:
            ConfigError: it is another cluster.
        """
        ref = Ref(self.context.cluster, kinds.NAMESPACE, "kube-system")
        published = self._published(ref)
        if published is None or self.context.config.namespaces:
            return
        try:
            found = await client.get("/api/v1/namespaces/kube-system", {}, _Identified)
        except (ApiError, TimeoutError):
            return  # the reflectors will say why
        if found.metadata.uid != published.uid:
            fault = (
                f"cluster: expected the cluster whose kube-system is {published.uid}, as published under the name "
                f"{self.context.cluster!r}, found {found.metadata.uid}; try another `cluster`, or another context"
            )
            raise ConfigError([fault])

    async def publish(self) -> None:
        """Tell what is new, once everything has been looked at."""
        for reflector in self._reflectors:
            await reflector.settled.wait()
        while True:
            self.news.clear()
            self._note_unseen()
            await self._put_changes()
            self._put_overflow()
            await self._sweep()
            self._tell_state()
            await self.news.wait()

    def _note_unseen(self) -> None:
        unseen = {(each.kind.place, each.namespace) for each in self._reflectors if not each.is_synced}
        if unseen != self.inventory.unseen:
            self.inventory.unseen = unseen
            self.inventory.mark_all()
            self.inventory.mark(self._withheld)
            self._withheld.clear()
            for kind in self._before.keys() - {each.kind.kind for each in self._reflectors if not each.is_synced}:
                del self._before[kind]

    async def _put_changes(self) -> None:
        """Wish for what may have changed, as fast as the server takes it."""
        with self.context.telemetry.span("collector-k8s change") as trace:
            for number, (ref, entity) in enumerate(self.inventory.take()):
                if number % BREATH == 0:
                    await self.table.room()
                    await asyncio.sleep(0)
                if entity is not None:
                    self.table.put(ref.subject("entity", source=SOURCE), entity, trace=trace)
                elif (known := self._wanted(ref)) is not None:
                    if self._may_remove(ref):
                        self.table.remove(ref.subject("entity", source=SOURCE), _removal(known), trace=trace)
                    else:
                        self._withheld.add(ref)

    def _put_overflow(self) -> None:
        for kind, count in self.overflow.counts().items():
            entity = self.overflow.entity(kind)
            subject = entity.ref.subject("entity", source=SOURCE)
            if self.inventory.is_shown(entity.ref):
                continue  # something of the cluster is called so itself
            if count:
                self.table.put(subject, entity)
            elif self.table.wanted(subject) is not None and not self._may_overflow(kind):
                self.table.remove(subject, _removal(entity))

    async def count_overflow(self) -> None:
        """Tell every `metrics_interval_s` how much is left out. Never returns."""
        interval_s = self.context.config.metrics_interval_s
        while True:
            for pulse in self.overflow.pulses(self.context.clock.now(), interval_s):
                self.context.log.publish(pulse.ref.subject("pulse", source=SOURCE), encode(pulse))
            await self.context.clock.sleep(interval_s)

    async def _sweep(self) -> None:
        """Remove what was published before this process began, and is no more."""
        if self.inventory.unseen == self._swept:
            return
        self._swept = set(self.inventory.unseen)
        for number, (subject, row) in enumerate(list(self.table.rows.items())):
            published = row.message
            if self._is_over(published.ref):
                self.table.remove(subject, _removal(published))
            if number % BREATH == BREATH - 1:
                await self.table.room()
                await asyncio.sleep(0)

    def _is_over(self, ref: Ref) -> bool:
        if self.inventory.is_shown(ref):
            return False
        if ref == self.overflow.entity(ref.kind).ref:
            return not self._may_overflow(ref.kind)
        return self._may_remove(ref)

    def _may_overflow(self, kind: str) -> bool:
        """Whether objects of a kind are left out, as far as they have been seen."""
        is_seen = all(each.is_synced for each in self._reflectors if each.kind.kind == kind)
        return not is_seen or self.overflow.counts()[kind] > 0

    def _may_remove(self, ref: Ref) -> bool:
        """Whether everything that could tell of this thing has been seen."""
        if ref.kind in NAMED:
            return not self.inventory.unseen
        kind = WITHIN.get(ref.kind, ref.kind)
        return not any(
            each.kind.kind == kind
            and not each.is_synced
            and each.kind.is_namespaced == bool(ref.namespace)
            and each.namespace in ("", ref.namespace)
            for each in self._reflectors
        )

    def _tell_state(self) -> None:
        """Only who sees everything vouches for what is published. That Events or usage are not seen is told as well."""
        faults = [each.fault for each in (self.probe, *self._reflectors) if each is not None and each.fault]
        if faults:
            self.context.status.set("degraded", "; ".join(faults[:3]))
        else:
            beside = [fault for each in (self.happenings, self.usage) if each is not None for fault in each.faults]
            self.context.status.set("in_sync", "; ".join(beside[:3]))

    def _published(self, ref: Ref) -> Entity | None:
        row = self.table.rows.get(ref.subject("entity", source=SOURCE))
        return row.message if row is not None else None

    def _wanted(self, ref: Ref) -> Entity | None:
        return self.table.wanted(ref.subject("entity", source=SOURCE))

    def known(self, kind: Kind[Any], namespace: str) -> Collection[Key]:
        """Objects of a kind that are taken to exist: those seen, and before the first list those published."""
        is_in = [key for key in self.inventory.keys(kind.place) if namespace in ("", key[0])]
        return is_in or [
            key for key in self._before[kind.kind] if namespace in ("", key[0]) and bool(key[0]) == kind.is_namespaced
        ]


class _Sink:
    """Where one reflector's objects go."""

    def __init__(self, collector: _Collector, kind: Kind[Any], namespace: str) -> None:
        self._collector = collector
        self._kind = kind
        self._namespace = namespace

    def known(self) -> Collection[Key]:
        return self._collector.known(self._kind, self._namespace)

    def put(self, key: Key, found: Any) -> None:
        inventory, place = self._collector.inventory, self._kind.place
        if self._collector.overflow.admits(self._kind, self._namespace, key, inventory.keys(place)):
            inventory.put(place, key, self._kind.fragment(found, self._collector.scope))
        self._collector.news.set()

    def drop(self, key: Key, uid: str) -> None:
        self._collector.overflow.drop(self._kind, self._namespace, key)
        self._collector.inventory.drop(self._kind.place, key, uid)
        self._collector.news.set()

    async def complete(self, keys: Collection[Key]) -> None:
        self._collector.overflow.keep_only(self._kind, self._namespace, keys)
        for number, key in enumerate([key for key in self.known() if key not in keys]):
            self._collector.inventory.drop(self._kind.place, key)
            if number % BREATH == BREATH - 1:
                await asyncio.sleep(0)
        self._collector.news.set()

    def wants_more(self) -> bool:
        shown = self._collector.inventory.keys(self._kind.place)
        return self._collector.overflow.has_room_again(self._kind, self._namespace, shown)


def _removal(entity: Entity) -> Entity:
    return Entity(ref=entity.ref, source=SOURCE, op=REMOVE, uid=entity.uid, reason="deleted")


SERVICE = Service(name="collector-k8s", config=Config, run=run, source=SOURCE)
