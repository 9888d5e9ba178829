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
from kgents_collector_k8s.source import ApiClient, ApiError, Key, Reflector
from kgents_collector_k8s.usage import poll_usage
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, encode
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.errors import ConfigError
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
        tasks.create_task(collector.publish())
        tasks.create_task(collector.count_overflow())
        tasks.create_task(poll_usage(context, client, collector.inventory, collector.scope))
        if config.events:
            happenings = Happenings(context, client, collector.scope)
            tasks.create_task(happenings.run())


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
        self.news = asyncio.Event()
        self._reflectors: list[Reflector[Any]] = []
        self._swept: set[str] | None = None  # what was unseen when the rows were last swept
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
            selector = config.label_selector if kind.resource in SELECTED else ""
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
        ref = Ref(self.context.cluster, "namespace", "kube-system")
        published = self._published(ref)
        if published is None or self.context.config.namespaces:
            return
        try:
            found = await client.get("/api/v1/namespaces/kube-system", {}, _Identified)
        except (ApiError, TimeoutError):
            return  # the reflectors will say why
        if found.metadata.uid != published.uid:
            raise ConfigError(
                f"cluster: expected the cluster whose kube-system is {published.uid}, as published under the name "
                f"{self.context.cluster!r}, found {found.metadata.uid}; try another `cluster`, or another context"
            )

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
        unseen = {each.kind.resource for each in self._reflectors if not each.is_synced}
        if unseen != self.inventory.unseen:
            self.inventory.unseen = unseen
            self.inventory.mark_all()
            for each in self._reflectors:
                if each.kind.resource not in unseen:
                    self._before.pop(each.kind.kind, None)

    async def _put_changes(self) -> None:
        """Wish for what may have changed, as fast as the server takes it."""
        with self.context.telemetry.span("collector-k8s change") as trace:
            for number, (ref, entity) in enumerate(self.inventory.take()):
                if number % BREATH == 0:
                    await self.table.room()
                    await asyncio.sleep(0)
                if entity is not None:
                    self.table.put(ref.subject("entity", source=SOURCE), entity, trace=trace)
                elif (known := self._wanted(ref)) is not None and self._may_remove(ref):
                    self.table.remove(ref.subject("entity", source=SOURCE), _removal(known), trace=trace)

    def _put_overflow(self) -> None:
        for kind, count in self.overflow.counts().items():
            entity = self.overflow.entity(kind)
            subject = entity.ref.subject("entity", source=SOURCE)
            if count:
                self.table.put(subject, entity)
            elif self.table.wanted(subject) is not None:
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
        is_overflow = ref == self.overflow.entity(ref.kind).ref
        is_shown = self.overflow.counts()[ref.kind] if is_overflow else self.inventory.is_shown(ref)
        return not is_shown and self._may_remove(ref)

    def _may_remove(self, ref: Ref) -> bool:
        """Whether everything that could tell of this thing has been seen."""
        if ref.kind in NAMED:
            return not self.inventory.unseen
        kind = WITHIN.get(ref.kind, ref.kind)
        return not any(
            each.kind.kind == kind and not each.is_synced and each.kind.is_namespaced == bool(ref.namespace)
            for each in self._reflectors
        )

    def _tell_state(self) -> None:
        """Only who sees everything vouches for what is published."""
        faults = [each.fault for each in self._reflectors if each.fault]
        if faults:
            self.context.status.set("degraded", "; ".join(faults[:3]))
        else:
            self.context.status.set("in_sync")

    def _published(self, ref: Ref) -> Entity | None:
        row = self.table.rows.get(ref.subject("entity", source=SOURCE))
        return row.message if row is not None else None

    def _wanted(self, ref: Ref) -> Entity | None:
        return self.table.wanted(ref.subject("entity", source=SOURCE))

    def known(self, kind: Kind[Any], namespace: str) -> Collection[Key]:
        """Objects of a kind that are taken to exist: those seen, and before the first list those published."""
        is_in = [key for key in self.inventory.keys(kind.resource) if namespace in ("", key[0])]
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
        inventory, resource = self._collector.inventory, self._kind.resource
        if self._collector.overflow.admits(self._kind.kind, self._namespace, key, inventory.keys(resource)):
            inventory.put(resource, key, self._kind.fragment(found, self._collector.scope))
        self._collector.news.set()

    def drop(self, key: Key, uid: str) -> None:
        self._collector.overflow.drop(self._kind.kind, self._namespace, key)
        self._collector.inventory.drop(self._kind.resource, key, uid)
        self._collector.news.set()

    def complete(self, keys: Collection[Key]) -> None:
        inventory = self._collector.inventory
        elsewhere = [key for key in inventory.keys(self._kind.resource) if self._namespace not in ("", key[0])]
        inventory.keep_only(self._kind.resource, {*keys, *elsewhere})
        self._collector.overflow.keep_only(self._kind.kind, self._namespace, keys)
        self._collector.news.set()


def _removal(entity: Entity) -> Entity:
    return Entity(ref=entity.ref, source=SOURCE, op=REMOVE, uid=entity.uid, reason="deleted")


SERVICE = Service(name="collector-k8s", config=Config, run=run, source=SOURCE)
