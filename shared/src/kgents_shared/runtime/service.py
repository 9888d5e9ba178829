"""What a service is, and what it is given to run.

Every service is a `Service` record and a `run` that is called for each cluster whose lease this instance holds: it
loads its tables from the streams and runs until it is cancelled or another writer appears. So a start, a takeover, and
a resolved conflict are one path. A service that writes no state and need not be alone has no lease, and `run` is
called once.
"""

import copy
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from importlib.metadata import version
from typing import Any, Final, Generic, TypeVar
from uuid import uuid4

import msgspec

from kgents_shared.bus.answering import Answering, Endpoint
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.dead_letters import DeadLetters
from kgents_shared.bus.lease import Lease
from kgents_shared.bus.log import LogPublisher
from kgents_shared.bus.outbox import Outbox
from kgents_shared.bus.permissions import Grants, Permissions, signal_filters
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import Codec
from kgents_shared.contract.meta import Share
from kgents_shared.contract.section import Section
from kgents_shared.contract.streams import NAME_BY_SIGNAL, STATE_SIGNALS, Stream, StreamsConfig, streams
from kgents_shared.contract.wire import Wire
from kgents_shared.runtime import config as configuration
from kgents_shared.runtime.clock import Clock, ServerClock, SystemClock, unix_ns
from kgents_shared.runtime.heartbeat import Status
from kgents_shared.runtime.telemetry import Telemetry

C = TypeVar("C", bound=Section)
T = TypeVar("T", bound=Wire)

COLLECTED: Final = ("entity", "pulse", "event")
"""The signals of a collector."""


class Access(msgspec.Struct, frozen=True):
    """What a service reads and writes. It can do nothing else, and its permissions are made of this."""

    writes: tuple[str, ...]
    """Signals; a collector writes those of its source."""
    reads: tuple[str, ...] = ()
    """Signals of its clusters."""
    everywhere: bool = False
    """Whether it reads these signals of all clusters, whichever it runs for."""
    watches: tuple[str, ...] = ()
    """Of these: the signals whose lost messages it notices."""
    keeps_time: bool = False
    """Whether it goes by the server's clock, read from these streams."""
    catches_up: tuple[str, ...] = ()
    """Of these: the signals of which it also reads the copy that may be kept for the archive."""
    hears_writers: bool = False
    """Whether it judges by their heartbeats who writes these signals, as every reader of `view` does."""
    misses_writers: bool = False
    """Whether it notices when those who write topology and health were not at work, in its clusters."""
    requests: tuple[str, ...] = ()
    """Subjects beside the streams that it asks for an answer, and …"""
    subscribes: tuple[str, ...] = ()
    """… that it subscribes to, …"""
    listens: Callable[[Any], Sequence[str]] | None = None
    """… and those that it subscribes to by its configuration."""
    alone: bool = False
    """Whether one instance at a time works, under a lease, also if it writes no state: what it does is seen outside."""
    recalls: tuple[str, ...] = ()
    """Signals of which it reads whatever it is asked for, in any cluster and at any time, as readers do."""
    answers: tuple[str, ...] = ()
    """Filters of the requests that it answers, as a NATS service; outside `kgents.>`, which streams capture."""
    stores: tuple[str, ...] = ()
    """Signals of which it stores what people decide, in its clusters. For that no lease is needed: see `bus/word`."""
    is_needed: bool = True
    """Whether it is ready only while it is connected; False: its work goes on without NATS."""
    records: tuple[str, ...] = ()
    """Actions that it records in the audit trail, or a command with its login does."""

    @property
    def followed(self) -> dict[str, bool]:
        """The signals that it reads, and of each whether it goes by the server's clock there."""
        return {**dict.fromkeys(self.reads, self.keeps_time), **({"meta": True} if self.hears_writers else {})}


COLLECTS: Final = Access(COLLECTED)


class Context(Generic[C]):
    """The resources of a service that runs for one cluster: at first its own, see `of` for others."""

    def __init__(
        self,
        service: "Service[C]",
        common: configuration.CommonConfig,
        config: C,
        bus: Bus,
        telemetry: Telemetry,
        outbox: Outbox,
    ) -> None:
        self.service = service
        self.common = common
        self.config = config
        self.bus = bus
        self.telemetry = telemetry
        self.server_clock = ServerClock(SystemClock())
        self.clock: Clock = self.server_clock
        """What all that is published goes by; see `runtime.server_time`."""
        self.publisher = Publisher(bus)
        self.log = LogPublisher(
            bus,
            self.publisher,
            outbox,
            prefix=f"{common.cluster}:{service.name}:{common.instance}",
            now_ns=lambda: unix_ns(self.server_clock.machine.now()),  # durations: also across restarts
        )
        self._enter(common.cluster)

    def of(self, cluster: str) -> "Context[C]":
        """The same process for another cluster, with a lease, a status and dead letters of its own."""
        other = copy.copy(self)
        other._enter(cluster)  # noqa: SLF001 - of the same class
        other.status.stalls = self.status.stalls
        return other

    def _enter(self, cluster: str) -> None:
        service, instance = self.service, self.common.instance
        self.cluster = cluster
        self.dead_letters = DeadLetters(self.publisher, cluster, service.name)
        now = self.server_clock.machine.now  # compared with the server's, so not corrected by it
        self.lease = Lease(self.bus, self.publisher, cluster=cluster, service=service.name, instance=instance, now=now)
        self.status = Status(
            service.name,
            instance,
            service.version,
            self.clock.now(),
            source=service.source,
            share=Share(home=self.common.cluster) if service.has_lease else None,
            log=self.log,
            dead_letters=self.dead_letters,
        )
        self.status.denials = lambda: self.bus.denials
        self.status.passed_over = lambda: self.bus.passed_over
        self.status.answered_twice = lambda: self.publisher.answered_twice

    def now_ns(self) -> int:
        """The wall clock in Unix nanoseconds, as JetStream counts."""
        return unix_ns(self.clock.now())

    def reader(self, codec: Codec[T], filters: Sequence[str]) -> StateView[T]:
        """A view of another writer's rows."""
        return StateView(self.bus, codec, self.reads(codec.signal), filters)

    def reads(self, signal: str) -> str:
        """Report that a signal is read; returns its stream."""
        access = self.service.access
        if signal not in (*access.reads, *access.recalls):
            raise ValueError(f"{self.service.name} must declare that it reads {signal}, for its permissions")
        self.status.reads(NAME_BY_SIGNAL[signal])
        return NAME_BY_SIGNAL[signal]

    def answering(self, endpoints: Sequence[Endpoint], description: str) -> Answering:
        """Requests on these endpoints, as one instance of the service `kgents-<name>`."""
        service = self.service
        for each in endpoints:
            if not any(subjects.matches(each.subject, declared) for declared in service.access.answers):
                raise ValueError(f"{service.name} must declare that it answers {each.subject}, for its permissions")
        return Answering(
            self.bus,
            name=service.asked_as,
            id_=uuid4().hex,
            version=service.version,
            description=description,
            endpoints=endpoints,
            started=self.clock.now(),
        )

    def writer(
        self,
        codec: Codec[T],
        filters: Sequence[str],
        *,
        same: Callable[[T, T], bool] | None = None,
        render: Callable[[T | None, T], T] | None = None,
    ) -> StateTable[T]:
        """A table that this instance alone writes, for as long as it holds the lease."""
        if codec.signal not in self.service.access.writes:
            raise ValueError(f"{self.service.name} must declare that it writes {codec.signal}, for its permissions")
        chosen: dict[str, Any] = {
            name: choice for name, choice in (("same", same), ("render", render)) if choice is not None
        }
        table = StateTable(
            self.bus,
            codec,
            NAME_BY_SIGNAL[codec.signal],
            filters,
            publisher=self.publisher,
            may_write=lambda: self.lease.is_valid,
            **chosen,
        )
        self.status.writes(codec.signal, table, filters)
        return table


class Service(Generic[C]):
    """The description of a service. Its package registers one under the group `kgents.services`."""

    def __init__(
        self,
        *,
        name: str,
        config: type[C],
        run: Callable[[Context[C]], Awaitable[None]],
        source: str = "",
        access: Access = COLLECTS,
        clusters: Callable[[C], Sequence[str]] | None = None,
        place: Callable[[C], str] | None = None,
        beside: Callable[[Context[C]], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """A service.

        Args:
            name: as in its subjects.
            config: of its section.
            run: called for each cluster that this instance holds.
            source: what a collector writes into its entities; its heartbeat attests them.
            access: what it reads and writes.
            clusters: those that it may write by its configuration, empty for all; None: its own cluster alone.
            place: by its configuration, the place that it observes of several in one cluster, see `at`.
            beside: what each instance does besides, whichever clusters it holds; called once, and never returns.
        """
        self.name = name
        self.config = config
        self.run = run
        self.source = source
        self.access = access
        self.clusters = clusters
        self.place = place
        self.beside = beside
        self.version = version(f"kgents-{name}")

    def at(self, config: C) -> "Service[C]":
        """As it runs by a configuration: one that observes one place has a name, a source and a lease for that place.

        So each place of a cluster has its own writer, and what one does not see is not removed from another.
        """
        return self if self.place is None else self.at_place(self.place(config))

    def at_place(self, place: str) -> "Service[C]":
        """As it runs at one place."""
        other = copy.copy(self)
        other.name, other.source = f"{self.name}-{place}", f"{self.source}-{place}"
        return other

    @property
    def has_lease(self) -> bool:
        """Whether one instance at a time works for each cluster. Others run beside each other."""
        return bool(self.access.writes) or self.access.alone

    @property
    def asked_as(self) -> str:
        """Its name among NATS services."""
        return f"kgents-{self.name}"

    @property
    def found_in(self) -> list[str]:
        """The streams whose subjects show which clusters there are."""
        signals = (*self.access.reads, *self.access.writes)
        return [NAME_BY_SIGNAL[each] for each in signals if each in STATE_SIGNALS and each != "meta"]

    def streams(self, config: StreamsConfig) -> list[Stream]:
        """The streams that it needs."""
        access = self.access
        needed = {*access.reads, *access.writes, *access.recalls, *access.stores, "meta"}
        return [each for each in streams(config) if each.signal in needed]

    def written(self, signal: str, clusters: Iterable[str | None]) -> list[str]:
        """The filters of what it writes of a signal for some clusters; None for all."""
        if signal not in self.access.writes:
            raise ValueError(f"{self.name} must declare that it writes {signal}, for its permissions")
        return [*signal_filters(signal, clusters, **({"source": self.source} if self.source else {}))]

    def members(self, home: str) -> str:
        """The filter of the heartbeats and leases of all instances that it shares clusters with."""
        return subjects.pattern("meta", service=self.name, **({"cluster": home} if self.clusters is None else {}))

    def permissions(
        self,
        nats: NatsConfig,
        home: str,
        clusters: Sequence[str | None],
        config: C | None = None,
        *,
        has_copies: bool = False,
    ) -> Permissions:
        """What its login needs at least.

        Args:
            nats: its connection.
            home: the cluster that it is configured with.
            clusters: those that it works for; None for all.
            config: its own settings; None: the defaults.
            has_copies: whether streams are copied for the archive (`streams.archive_copy_max_bytes`).
        """
        grants = Grants(api_prefix=nats.api_prefix, inbox_prefixes=[nats.inbox_of(self.name, home)])
        for cluster in clusters:
            grants.report(self.name, cluster)
            if self.has_lease:
                grants.lease(self.name, cluster)
        if self.has_lease:
            grants.read("meta", [self.members(home)])
        grants.recall(self.access.recalls)
        if self.access.recalls:  # who reads what it is asked for works for all clusters
            clusters = (None,)
        grants.decide(self.access.stores, clusters)
        grants.record(self.access.records, clusters)
        grants.miss_writers(clusters if self.access.misses_writers else ())
        for signal, keeps_time in self.access.followed.items():
            read = [None] if self.access.everywhere else clusters
            grants.read(signal, signal_filters(signal, read), keeps_time=keeps_time)
        for signal in self.access.catches_up if has_copies else ():
            grants.catch_up(signal, signal_filters(signal, [None]))
        for signal in self.access.writes:
            grants.write(signal, self.written(signal, clusters))
        for subject in self.access.requests:
            grants.publish(subject, "ask for an answer")
        for subject in (*self.access.subscribes, *self._heard_by(config)):
            grants.subscribe(subject, "what it collects")
        grants.answer(self.asked_as, self.access.answers)
        return grants.permissions()

    def _heard_by(self, config: C | None) -> Sequence[str]:
        listens = self.access.listens
        return listens(config) if listens is not None and config is not None else ()
