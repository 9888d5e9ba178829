"""KGENTS_META and the server's clock → what topology-builder and health-scorer do not keep up to date, as it changes.

The server is asked for its time actively, so silence is noticed when no message comes at all.
"""

import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import follow
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import may_not_ask, stream_info
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.session import SessionLostError
from kgents_shared.contract import codec
from kgents_shared.contract.attestation import Scopes
from kgents_shared.contract.errors import BusTimeoutError, MalformedMessageError
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.subjects import ROOT
from kgents_shared.view.writers import Writers

STREAM: Final = NAME_BY_SIGNAL["meta"]
_NS_PER_S: Final = 1_000_000_000

_log = get_logger(__name__)


class Liveness:
    """The services of all clusters, judged while `ticks` runs."""

    def __init__(self, bus: Bus, services: Sequence[str], *, cluster_tokens: Sequence[str] = ("*",)) -> None:
        """`services`: whose heartbeats are judged; `cluster_tokens`: of the subjects to read."""
        self.services: Final = tuple(services)
        self.last: Final[dict[str, Delivery]] = {}
        """The last message of each subject of these clusters; one of the server's says that the one before expired."""
        self.heard_s = time.monotonic()
        """When the server last answered with its time, by the monotonic clock of this machine."""
        self._bus = bus
        # All of META: a login for a single cluster may read it by this filter alone.
        self._filters = [f"{ROOT}.meta.{cluster}.*.*" for cluster in cluster_tokens]
        self._writers = Writers(services)
        self._now_ns = 0
        self._known: Scopes = {}

    @property
    def clusters(self) -> list[str]:
        """Those of which a service has reported."""
        return self._writers.clusters

    @property
    def server_time(self) -> datetime | None:
        """Now, by the server's clock, as it last said; None: it has not."""
        if not self._now_ns:
            return None
        passed_s = time.monotonic() - self.heard_s
        return datetime.fromtimestamp(self._now_ns / _NS_PER_S + passed_s, UTC)

    def silent(self, clusters: Iterable[str]) -> Scopes:
        """What the services do not keep up to date in these clusters now; empty before the first tick.

        The reason of what lasts is the first that was given. A service without any message counts as silent, unless
        none ever reported to this server.
        """
        found = self._writers.silent(clusters, self._now_ns) if self._now_ns else {}
        if _places(found) != _places(self._known):
            self._known = found
        return self._known

    @property
    def places(self) -> frozenset[tuple[str, ...]]:
        """Of what `silent` returned last: the same while that makes the same entities stale."""
        return frozenset((*key, *place) for key, places in _places(self._known).items() for place in places)

    async def ticks(self) -> AsyncGenerator[None, None]:
        """When the state of the services is known, and then every second or so. Never ends."""
        self._writers.is_required = await self._has_reports()
        async with aclosing(follow(self._bus, STREAM, self._filters, keeps_time=True)) as batches:
            async for batch in batches:
                if batch.reset:
                    self.last.clear()
                # Once any service has reported: as it is for one that begins to read now.
                self._writers.is_required = self._writers.is_required or bool(batch.deliveries)
                for each in batch.deliveries:
                    self.last[each.subject] = each
                    if self._writers.judges(each.subject):
                        self._writers.take(each.subject, _heartbeat(each), each.time_ns)
                if batch.now_ns:
                    self._now_ns, self.heard_s = batch.now_ns, time.monotonic()
                    yield

    async def _has_reports(self) -> bool:
        """Whether a service ever reported to this server, which may be asked while it answers nothing.

        Raises:
            BusError: this login may not ask, or there is no such stream.
        """
        while True:
            session = await self._bus.session()
            try:
                return (await stream_info(session, STREAM)).last_seq > 0
            except SessionLostError:
                continue
            except BusTimeoutError as error:
                if may_not_ask(session, STREAM):
                    raise
                _log.warning("stream_read_failed", stream=STREAM, error=str(error))


def _heartbeat(each: Delivery) -> Heartbeat | None:
    """The heartbeat; None if there is none, or none that can be read, which is no sign of life."""
    if each.marker:
        return None
    try:
        message = codec.META.decode(each.payload, subject=each.subject)
    except MalformedMessageError as error:
        _log.warning("malformed_heartbeat", subject=each.subject, error=str(error))
        return None
    return message if isinstance(message, Heartbeat) else None


def _places(scopes: Scopes) -> dict[tuple[str, str], set[tuple[str, str, str, str]]]:
    """Without the reasons, of which the first one is given for as long as it lasts."""
    return {key: {each.place for each in unread} for key, unread in scopes.items()}
