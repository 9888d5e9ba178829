"""The attendance of topology-builder and health-scorer → when nothing was judged, so that the last verdict stands.

A cluster in which neither stored any attendance is not judged by it only if no service ever reported to this server.
"""

from collections.abc import Iterable, Mapping
from contextlib import aclosing
from typing import Final

import msgspec

from kgents_cli.availability.spans import US_PER_S, Window, microseconds, union
from kgents_cli.availability.text import lasting
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import LAST_PER_SUBJECT, stream_info
from kgents_shared.bus.pull import replay
from kgents_shared.contract.attestation import WRITERS
from kgents_shared.contract.codec import META
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.meta import ABSENT_AFTER_S, ATTENDANCE, Attendance, Heartbeat
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.subjects import parse
from kgents_shared.view.selection import Selection

_EVER: Final = 2**62
_NS_PER_US: Final = 1_000


class Attended(msgspec.Struct, frozen=True):
    """What a service stored of its work in one cluster."""

    attendance: Attendance
    until: int
    """When it was stored, in microseconds since 1970."""

    def absences(self, now: int) -> list[Window]:
        """When it was not at work, or when that is not known."""
        found = [Window(-_EVER, microseconds(self.attendance.since))]
        found += [Window(microseconds(each.begin), microseconds(each.end)) for each in self.attendance.absences]
        if now - self.until > ABSENT_AFTER_S * US_PER_S:
            found.append(Window(self.until, _EVER))
        return found


class Unattended:
    """When the services of each cluster did not judge it."""

    def __init__(self, found: Mapping[tuple[str, str], Attended], asked: Window, *, now: int, is_judged: bool) -> None:
        """`found`: by cluster and service; `now`: by the server's clock.

        `is_judged`: whether a cluster of which nothing is stored counts as never attended.
        """
        self._found = found
        self._asked = asked
        self._now = now
        self._is_judged = is_judged

    def of(self, cluster: str) -> list[Window]:
        """When at least one of the services was absent, or when that is not known."""
        return union(each for service in WRITERS for each in self._absences(cluster, service))

    def remarks(self, clusters: Iterable[str]) -> list[str]:
        """How much of the time asked about is not known for that, as sentences."""
        return [
            remark
            for cluster in sorted(set(clusters))
            for service in WRITERS
            if (remark := self._remark(cluster, service))
        ]

    def _absences(self, cluster: str, service: str) -> list[Window]:
        if (found := self._found.get((cluster, service))) is not None:
            return found.absences(self._now)
        return [Window(-_EVER, _EVER)] if self._is_judged else []

    def _remark(self, cluster: str, service: str) -> str:
        within = (each.common(self._asked) for each in union(self._absences(cluster, service)))
        absent = sum(each.length for each in within if each is not None)
        if not absent:
            return ""
        if (cluster, service) not in self._found:
            return f"{cluster}: {service} has not stored when it ran, so nothing is known; try: kgents run {service}"
        return f"{cluster}: {service} did not run, or not that is known, for {lasting(absent / US_PER_S)} of this time"


async def attended(bus: Bus, selection: Selection, asked: Window) -> Unattended:
    """What the services stored of the selected clusters.

    Raises:
        BusError: the server refused, or did not answer.
    """
    stream = NAME_BY_SIGNAL["meta"]
    kept = await stream_info(await bus.session(), stream)
    found: dict[tuple[str, str], Attended] = {}
    # All of META: a login for a single cluster may read it by this filter alone.
    filters = Selection(clusters=selection.clusters).filters("meta")
    async with aclosing(replay(await bus.session(), stream, filters, LAST_PER_SUBJECT)) as batches:
        async for batch in batches:
            for each in batch:
                if each.marker or f".{ATTENDANCE}." not in each.subject:
                    continue
                if (message := _decoded(each.payload, each.subject)) is not None:
                    parsed = parse(each.subject)
                    key = (parsed.value("cluster"), parsed.value("instance"))
                    found[key] = Attended(message, each.time_ns // _NS_PER_US)
    return Unattended(found, asked, now=microseconds(kept.ts), is_judged=kept.last_seq > 0)


def _decoded(payload: bytes, subject: str) -> Attendance | None:
    try:
        message = META.decode(payload, subject=subject)
    except MalformedMessageError:  # counts as nothing stored
        return None
    return message.attendance if isinstance(message, Heartbeat) else None
