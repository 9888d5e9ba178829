"""collector-k8s at work: reflectors → inventory → the entity state table; Events → log; usage → pulses."""

import asyncio
import gc
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

import structlog
from msgspec import Struct

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.drifting import Drifting
from kgents_collector_k8s.events import Events
from kgents_collector_k8s.inventory import Inventory
from kgents_collector_k8s.manifests import Desired
from kgents_collector_k8s.mapping.fragment import SOURCE, Kind, Scope
from kgents_collector_k8s.objects.metadata import Metadata
from kgents_collector_k8s.scopes import MAKERS, SELECTED, Place, Scopes
from kgents_collector_k8s.source import ApiClient, ApiError, Key, Probe, Reflector
from kgents_collector_k8s.truncation import Truncation
from kgents_collector_k8s.usage import Usage
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import ConfigError
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.runtime.collector import Collector
from kgents_shared.runtime.service import Context, Service

_log = structlog.get_logger(__name__)


async def run(context: Context[Config]) -> None:
    """Watch for as long as this instance holds the lease."""
    config = context.config
    collector = Collector(context)
    collector.entities.compress_rows(lambda entity: entity.ref.kind)
    cluster = _Cluster(context, collector)
    await cluster.load()
    async with ApiClient(config.kubeconfig_path, config.context, context.clock) as client, asyncio.TaskGroup() as tasks:
        _log.info("watching_cluster", server=client.url, cluster=context.cluster)
        await cluster.check_identity(client)
        tasks.create_task(collector.run())
        for reflector in cluster.reflectors(client):
            tasks.create_task(reflector.run())
        cluster.probe = Probe(client, context.clock, cluster.news)
        tasks.create_task(cluster.probe.run())
        tasks.create_task(cluster.publish())
        tasks.create_task(cluster.count_truncated())
        cluster.usage = Usage(context, client, collector, cluster.inventory, cluster.scope, cluster.news)
        tasks.create_task(cluster.usage.run())
        if config.manifests:
            cluster.desired = Desired(
                context, cluster.inventory, cluster.scopes, cluster.unread, cluster.truncation, cluster.drifting,
                cluster.news,
            )  # fmt: skip
            tasks.create_task(cluster.desired.run())
        if config.events:
            cluster.events = Events(context, client, collector, cluster.scope, cluster.news)
            tasks.create_task(cluster.events.run())


class _Identified(Struct, frozen=True):
    metadata: Metadata


class _Cluster:
    """One observed cluster."""

    def __init__(self, context: Context[Config], collector: Collector) -> None:
        self.context = context
        self.collector = collector
        self.scope = Scope(context.cluster)
        self.inventory = Inventory(context.cluster, collector.published)
        self.events: Events | None = None
        self.usage: Usage | None = None
        self.probe: Probe | None = None
        self.desired: Desired | None = None
        self.drifting = Drifting(context.cluster, context.config.drift_after_s, ())
        self.news = asyncio.Event()
        self.scopes = Scopes([])
        self._withheld: set[Ref] = set()  # gone from what was read; an unread resource may still refer to them
        self._before: defaultdict[str, set[str]] = defaultdict(set)  # kind → subjects published before this run
        self._is_first = False  # whether nothing was
        self._swept: dict[str, frozenset[Place]] = {}  # kind → what may have hidden some of these when last compared
        self.truncation = Truncation(context.cluster, context.config.max_objects)

    async def load(self) -> None:
        """Read what is published."""
        config = self.context.config
        await self.collector.load()
        slice_ = TimeSlice()
        for subject, kind in self.collector.published_kinds():
            self._before[kind].add(subject)
            await slice_.checkpoint()
        self._is_first = not self._before
        if config.manifests:
            rows = self.collector.entities.rows.values()
            self.drifting = Drifting(self.context.cluster, config.drift_after_s, (each.message for each in rows))

    def reflectors(self, client: ApiClient) -> list[Reflector[Any]]:
        """One reflector for each resource, and for each namespace if only some are watched."""
        config, made = self.context.config, list[Reflector[Any]]()
        for kind in config.kinds:
            selector = config.label_selector if kind.place in SELECTED else ""
            for namespace in config.namespaces or [""]:
                sink = _Sink(self, kind, namespace)
                each = Reflector(client, kind, sink, self.context.clock, namespace=namespace, selector=selector)
                each.changed = self.news
                made.append(each)
        self.scopes = Scopes(made)
        self.inventory.unseen = self.scopes.unseen
        self.inventory.has_all_makers = not config.label_selector and {each.place for each in config.kinds} >= {*MAKERS}
        return made

    async def check_identity(self, client: ApiClient) -> None:
        """Refuse a `cluster` name under which another cluster is published: all its entities would be removed.

        Raises:
            ConfigError: it is another cluster.
        """
        ref = Ref(self.context.cluster, kinds.NAMESPACE, "kube-system")
        published = self.collector.published(ref)
        if published is None or self.context.config.namespaces:
            return
        try:
            found = await client.get("/api/v1/namespaces/kube-system", {}, _Identified)
        except (ApiError, TimeoutError):
            return  # the reflectors report why
        if found.metadata.uid != published.uid:
            fault = (
                f"cluster: expected the cluster whose kube-system is {published.uid}, as published under the name "
                f"{self.context.cluster!r}, found {found.metadata.uid}; try another `cluster`, or another context"
            )
            raise ConfigError([fault])

    async def publish(self) -> None:
        """Publish what differs, each kind as soon as what it is made of has been listed. Never returns."""
        is_complete = False
        while True:
            self.news.clear()
            self._note_listed()
            await self._put_changes()
            self._put_truncated()
            for each in self.drifting.entities():
                self.collector.put(each)
            await self._sweep()
            self._attest()
            if not is_complete and not self.scopes.unseen:  # what was read until now lives long: no need to visit it
                gc.freeze()
                is_complete = True
            await self.news.wait()

    def _note_listed(self) -> None:
        before = self.scopes.unseen
        if joined := self.scopes.update():
            self.inventory.mark_kinds(joined)
        self.inventory.unseen = self.scopes.unseen
        if listed := before - self.scopes.unseen:
            self.inventory.mark(self._withheld)
            self._withheld.clear()
            if any(resource == "replicasets" for resource, _ in listed):
                self.inventory.mark_owned()

    async def _put_changes(self) -> None:
        """Publish what may have changed, as fast as the server takes it."""
        with self.context.telemetry.span("collector-k8s change") as trace:
            slice_ = TimeSlice()
            listed = {kind for kind in self._before if not self.scopes.blocking(kind)}
            for ref, entity in self.inventory.take(self.scopes.is_ready):
                if not self.collector.entities.has_capacity:
                    await self.collector.entities.wait_for_capacity()
                if slice_.is_over:
                    await slice_.checkpoint()
                if entity is not None:
                    subject = self.collector.put(self.drifting.added_to(entity), trace=trace)
                    if ref.kind in listed:  # it exists: only what is left is looked through by `_sweep`
                        self._before[ref.kind].discard(subject)
                elif (known := self.collector.desired(ref)) is not None:
                    if self.scopes.may_remove(ref):
                        self.collector.remove(known, trace=trace)
                    else:
                        self._withheld.add(ref)

    def _put_truncated(self) -> None:
        for kind, count in self.truncation.counts().items():
            entity = self.truncation.entity(kind)
            if self.inventory.is_shown(entity.ref):
                continue  # an object of the cluster has this name
            if count:
                self.collector.put(entity)
            elif self.collector.desired(entity.ref) is not None and not self._may_be_truncated(kind):
                self.collector.remove(entity)

    async def count_truncated(self) -> None:
        """Publish every `metrics_interval_s` how many objects are left out. Never returns."""
        interval_s = self.context.config.metrics_interval_s
        while True:
            for pulse in self.truncation.pulses(self.context.clock.now(), interval_s):
                self.collector.publish_pulse(pulse)
            await self.context.clock.sleep(interval_s)

    async def _sweep(self) -> None:
        """Remove what was published before this process started and no longer exists."""
        slice_ = TimeSlice()
        for kind in list(self._before):
            hidden = self.scopes.blocking(kind)
            if hidden == self._swept.get(kind) or not self.scopes.is_ready(kind):
                continue
            for subject in self._before[kind]:
                ref = self.collector.ref_of(subject)
                if ref is not None and self._is_over(ref) and (published := self.collector.published(ref)) is not None:
                    self.collector.remove(published)
                    await self.collector.entities.wait_for_capacity()
                await slice_.checkpoint()
            self._swept[kind] = hidden
            if not hidden:
                del self._before[kind]

    def _is_over(self, ref: Ref) -> bool:
        if self.inventory.is_shown(ref):
            return False
        if ref.kind == kinds.MANIFESTS:
            return ref.name not in {each.name for each in self.context.config.manifests}
        if ref == self.truncation.entity(ref.kind).ref:
            return not self._may_be_truncated(ref.kind)
        return self.scopes.may_remove(ref)

    def _may_be_truncated(self, kind: str) -> bool:
        """Whether objects of a kind are left out; True while not all of them are read."""
        return bool(self.scopes.blocking(kind)) or self.truncation.counts()[kind] > 0

    def _attest(self) -> None:
        """Attest all kinds but those that cannot be read. Faults of Events and usage are only shown."""
        unread = self.unread()
        if self._is_first and unread and not (self._silence() or self.scopes.has_failed):
            self.collector.begin(unread[0].reason)
            return
        beside_it = (self.events, self.usage, self.desired)
        beside = [fault for each in beside_it if each is not None for fault in each.faults]
        self.collector.attest(unread=unread, faults=beside if not unread else ())

    def unread(self) -> list[Unread]:
        """What is not attested."""
        silence = self._silence()
        return [*([Unread(reason=silence)] if silence else []), *self.scopes.unread()]

    def _silence(self) -> str:
        """Why the server gives no answer at all; empty while it does."""
        return self.probe.fault if self.probe is not None else ""

    def known(self, kind: Kind[Any], namespace: str) -> Iterator[Key]:
        """Objects of a kind that are taken to exist: those read, and before the first list those published."""
        if self.is_listed(kind, namespace):
            yield from self.shown(kind, namespace)
            return
        for subject in list(self._before.get(kind.kind, ())):
            ref = self.collector.ref_of(subject)
            if ref is not None and namespace in ("", ref.namespace) and bool(ref.namespace) == kind.is_namespaced:
                yield ref.namespace, ref.name

    def shown(self, kind: Kind[Any], namespace: str) -> Iterator[Key]:
        """Objects of a kind that were read, as they are at the first step."""
        return (key for key in list(self.inventory.keys(kind.place)) if namespace in ("", key[0]))

    def is_listed(self, kind: Kind[Any], namespace: str) -> bool:
        """Whether a resource has been listed since the start."""
        return (kind.place, namespace) not in self.scopes.unseen


class _Sink:
    """Receives one reflector's objects."""

    def __init__(self, cluster: _Cluster, kind: Kind[Any], namespace: str) -> None:
        self._cluster = cluster
        self._kind = kind
        self._namespace = namespace

    def known(self) -> Iterator[Key]:
        return self._cluster.known(self._kind, self._namespace)

    def put(self, key: Key, found: Any) -> None:
        inventory, place = self._cluster.inventory, self._kind.place
        if self._cluster.truncation.admits(self._kind, self._namespace, key, inventory.keys(place)):
            inventory.put(place, key, self._kind.fragment(found, self._cluster.scope))
        if self._cluster.is_listed(self._kind, self._namespace):  # else what it is part of waits for the whole list
            self._cluster.news.set()

    def drop(self, key: Key, uid: str) -> None:
        self._cluster.truncation.drop(self._kind, self._namespace, key)
        self._cluster.inventory.drop(self._kind.place, key, uid)
        self._cluster.news.set()

    async def complete(self, keys: Collection[Key]) -> None:
        self._cluster.truncation.keep_only(self._kind, self._namespace, keys)
        slice_ = TimeSlice()
        for key in self._cluster.shown(self._kind, self._namespace):
            if key not in keys:
                self._cluster.inventory.drop(self._kind.place, key)
            await slice_.checkpoint()
        self._cluster.news.set()

    def wants_more(self) -> bool:
        shown = self._cluster.inventory.keys(self._kind.place)
        return self._cluster.truncation.has_room_again(self._kind, self._namespace, shown)


SERVICE = Service(name="collector-k8s", config=Config, run=run, source=SOURCE)
