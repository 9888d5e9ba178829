"""The settings of this collector: read by `runtime.config` before source/ opens a connection."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, field

from kgents_collector_nats.detect import MONITOR_URL
from kgents_collector_nats.mapping.caps import Caps
from kgents_shared.bus.config import NatsConfig
from kgents_shared.contract.section import Fault, Section, unusable_url
from kgents_shared.contract.subjects import ROOT, fault_of_filter

Count = Annotated[int, Meta(ge=1)]


class SubjectsConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Subjects of applications to listen to, in the account of the pipeline: how many messages each has.

    Of a message only its subject and size are read. Without this section the subjects are shown that clients subscribe
    to and streams capture; what is published on others, and how much, no server reports.
    """

    include: list[str] = []
    """Filters, such as `orders.>`. The login needs the right to subscribe to them: `kgents permissions collector-nats`
    with this configuration names it. Empty: nothing is listened to."""

    exclude: list[str] = field(default_factory=lambda: [f"{ROOT}.>"])
    """Filters of what is not counted all the same. The default is what kgents itself publishes."""

    sampled_above_per_s: Annotated[int, Meta(ge=100)] = 5_000
    """Messages in a second after which nothing is listened to until its end; the rates are those of the time before. At
    4,800 of 256 bytes on 15 subjects listening took 6 % of a core of a busy machine, at 1,000 it took 5 %."""

    def faults(self) -> Iterator[Fault]:
        for name in ("include", "exclude"):
            for place, each in enumerate(getattr(self, name)):
                if (fault := fault_of_filter(each)) is not None:
                    yield Fault(f"{name}[{place}]", "a NATS subject", fault, "try: orders.>")


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which servers to poll, how often, and how much of them to show."""

    monitor_urls: list[str] = field(default_factory=lambda: [MONITOR_URL])
    """HTTP monitoring endpoints, one for each server: a server only reports itself. Unused when `system` is set.
    The default is the port of `nats-server -m 8222`."""

    system: NatsConfig | None = None
    """A login of the system account. Then all servers of the cluster are polled over NATS, those that join later too,
    and no monitoring port is needed. null: HTTP."""

    poll_interval_s: Annotated[float, Meta(ge=1)] = 5.0
    """Seconds from one poll to the next. Each poll costs the server a walk over its connections and consumers; five
    is short enough to watch live, and less than one would load the server too much."""

    request_timeout_s: Annotated[float, Meta(gt=0)] = 3.0
    """Seconds to wait for one answer. Below `poll_interval_s`, so that an unreachable server delays no other."""

    max_streams: Count = 500
    """Streams shown. Beyond each of these caps one entity named `overflow` says how many are left out."""

    max_consumers: Count = 2000
    """Durable consumers shown; the ephemeral ones of a stream count as one."""

    max_clients: Count = 500
    """Clients shown, where connections of one name are one client: enough for services, too few for devices."""

    max_subjects: Count = 100
    """Subjects shown, the busiest first. Applications create subjects without bound, so this is the smallest cap."""

    subjects: SubjectsConfig = SubjectsConfig()
    """Subjects to listen to. Off by default."""

    def faults(self) -> Iterator[Fault]:
        for place, url in enumerate(self.monitor_urls):
            yield from unusable_url(f"monitor_urls[{place}]", url, ("http", "https"), "http://host:8222")
        if not self.monitor_urls and self.system is None:
            example = "try: monitor_urls: [http://host:8222]"
            yield Fault("monitor_urls", "monitor_urls or system", "neither", example, beside=("system",))

    @property
    def caps(self) -> Caps:
        """The caps by kind, as mapping takes them."""
        return Caps(
            nats_stream=self.max_streams,
            nats_consumer=self.max_consumers,
            nats_client=self.max_clients,
            nats_subject=self.max_subjects,
        )
