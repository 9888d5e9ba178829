"""What a service is, and what it is given to run.

Every service is a `Service` record and a `run` that is called whenever this instance holds the lease: it loads its
tables from the streams and runs until it is cancelled or another writer appears. So a start, a takeover, and a resolved
conflict are one path.
"""

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
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import Codec
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
    """The resources of a running service."""

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
            started_ms=self.now_ns() // 1_000_000,
        )
        self.dead_letters = DeadLetters(self.publisher, common.cluster, service.name)
        self.lease = Lease(
            bus,
            self.publisher,
            cluster=common.cluster,
            service=service.name,
            instance=common.instance,
            now=self.clock.now,
        )
        self.status = Status(service.name, common.instance, service.version, self.clock.now(), source=service.source)

    @property
    def cluster(self) -> str:
        """The cluster this instance belongs to."""
        return self.common.cluster

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
    ) -> None:
        """`source` is what a collector writes into its entities; its heartbeat attests them."""
        self.name = name
        self.config = config
        self.run = run
        self.source = source
        self.version = version(f"kgents-{name}")


def cluster_filters(signal_: str, clusters: Sequence[str]) -> list[str]:
    """The filters of a signal for some clusters; none named: for all."""
    if not clusters:
        return [subjects.pattern(signal_)]
    return [subjects.pattern(signal_, cluster=cluster) for cluster in clusters]
