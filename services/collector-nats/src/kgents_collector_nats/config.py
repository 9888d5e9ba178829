"""The settings of this collector: read by `runtime.config` before source/ opens a connection."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, field

from kgents_collector_nats.detect import MONITOR_URL
from kgents_collector_nats.mapping.caps import Caps
from kgents_shared.bus.config import NatsConfig
from kgents_shared.contract.section import Fault, Section, unusable_url

Count = Annotated[int, Meta(ge=1)]


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
