"""What a service is, and what it is given to run.

Every service is a `Service` record and a `run` that is called for each cluster whose lease this instance holds: it
loads its tables from the streams and runs until it is cancelled or another writer appears. So a start, a takeover, and
a resolved conflict are one path.
"""

import copy
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from typing import Any, Generic, TypeVar

from kgents_shared.bus.client import Bus
from kgents_shared.bus.dead_letters import DeadLetters
from kgents_shared.bus.lease import Lease
from kgents_shared.bus.log import LogPublisher
from kgents_shared.bus.outbox import Outbox
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract.codec import Codec
from kgents_shared.contract.meta import Share
from kgents_shared.contract.section import Section
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.wire import Wire
from kgents_shared.runtime import config as configuration
from kgents_shared.runtime.clock import Clock, SystemClock, unix_ns
from kgents_shared.runtime.heartbeat import Status
from kgents_shared.runtime.telemetry import Telemetry

C = TypeVar("C", bound=Section)
T = TypeVar("T", bound=Wire)


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
        self.clock: Clock = SystemClock()
        self.publisher = Publisher(bus)
        self.log = LogPublisher(
            bus,
            self.publisher,
            outbox,
            prefix=f"{common.cluster}:{service.name}:{common.instance}",
            now_ns=self.now_ns,
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
        self.lease = Lease(
            self.bus, self.publisher, cluster=cluster, service=service.name, instance=instance, now=self.clock.now
        )
        self.status = Status(
            service.name,
            instance,
            service.version,
            self.clock.now(),
            source=service.source,
            share=Share(home=self.common.cluster),
            log=self.log,
            dead_letters=self.dead_letters,
        )

    def now_ns(self) -> int:
        """The wall clock in Unix nanoseconds, as JetStream counts."""
        return unix_ns(self.clock.now())

    def reader(self, codec: Codec[T], filters: Sequence[str]) -> StateView[T]:
        """A view of another writer's rows."""
        self.status.reads(NAME_BY_SIGNAL[codec.signal])
        return StateView(self.bus, codec, NAME_BY_SIGNAL[codec.signal], filters)

    def writer(
        self,
        codec: Codec[T],
        filters: Sequence[str],
        *,
        same: Callable[[T, T], bool] | None = None,
        render: Callable[[T | None, T], T] | None = None,
    ) -> StateTable[T]:
        """A table that this instance alone writes, for as long as it holds the lease."""
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
        clusters: Callable[[C], Sequence[str]] | None = None,
        found_in: Sequence[str] = (),
    ) -> None:
        """A service.

        Args:
            name: as in its subjects.
            config: of its section.
            run: called for each cluster that this instance holds.
            source: what a collector writes into its entities; its heartbeat attests them.
            clusters: those that it may write by its configuration, empty for all; None: its own cluster alone.
            found_in: streams whose subjects show which clusters there are.
        """
        self.name = name
        self.config = config
        self.run = run
        self.source = source
        self.clusters = clusters
        self.found_in = found_in
        self.version = version(f"kgents-{name}")
