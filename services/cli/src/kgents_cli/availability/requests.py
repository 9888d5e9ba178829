"""The stream of pulses, and the archive before it → the requests of a window."""

from collections.abc import Iterable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final

import msgspec

from kgents_cli.availability.objectives import KeptCalls, Objective
from kgents_cli.availability.spans import moment_of
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import ALL, stream_info
from kgents_shared.bus.pull import replay
from kgents_shared.contract import traffic
from kgents_shared.contract.archive import Coverage, FiguresRequest
from kgents_shared.contract.codec import PULSE
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError, NoArchiveError
from kgents_shared.contract.pulse import TrafficPulse
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.subjects import is_hashed, parse, unescape
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.view.archive import figure_pages
from kgents_shared.view.events import held_since
from kgents_shared.view.figures import BY_MINUTES
from kgents_shared.view.selection import Selection

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_JUST_BEFORE: Final = timedelta(microseconds=1)
_TIME: Final = "%Y-%m-%d %H:%M:%SZ"


class Requests(msgspec.Struct, frozen=True):
    """The requests of a window."""

    samples: list[TrafficPulse]
    """What the stream holds."""
    kept: list[KeptCalls]
    """What the archive keeps of the time before, summed."""
    remarks: list[str]
    """What is not known, as sentences."""


async def requests(
    bus: Bus, clusters: tuple[str, ...], since: datetime, until: datetime, objectives: Iterable[Objective]
) -> Requests:
    """The requests of a window that are known. The archive's are counted by whole minutes, beyond a day by hours.

    Raises:
        BusError: the server refused, or did not answer.
    """
    stream = await stream_info(await bus.session(), NAME_BY_SIGNAL["pulse"])
    filters = Selection(clusters=clusters, kinds=(kinds.APP,)).filters("pulse")
    reach = held_since(stream)
    if since >= reach:
        return Requests(await _samples(bus, filters, since, until), [], [])
    whole = min(_begun(reach + _MINUTE - _JUST_BEFORE, _MINUTE), until)  # the first minute that the stream holds whole
    try:
        sums, remarks = await _kept(bus, filters, since, whole)
    except NoArchiveError as error:
        remark = f"requests: samples are held since {reach:{_TIME}}; archive: {error}"
        return Requests(await _samples(bus, filters, since, until), [], [remark])
    if sums:
        remarks += _unkept(objectives, whole)
    kept = [_calls(subject, figures) for subject, figures in sums.items()]
    return Requests(await _samples(bus, filters, whole, until), kept, remarks)


async def _samples(bus: Bus, filters: list[str], since: datetime, until: datetime) -> list[TrafficPulse]:
    found: list[TrafficPulse] = []
    async with aclosing(replay(await bus.session(), NAME_BY_SIGNAL["pulse"], filters, ALL)) as batches:
        async for batch in batches:
            for each in batch:
                try:
                    pulse = PULSE.decode(each.payload, subject=each.subject) if not each.marker else None
                except MalformedMessageError:
                    continue
                at = moment_of(each.time_ns // 1_000) - timedelta(seconds=each.delay_s)  # as the archive has it
                if isinstance(pulse, TrafficPulse) and since <= at < until:
                    found.append(pulse)
    return found


async def _kept(
    bus: Bus, filters: list[str], since: datetime, until: datetime
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Name in the archive → sums of its figures; and what is to be known of them.

    Raises:
        NoArchiveError: no archiver answers, or it cannot.
    """
    sums: dict[str, dict[str, float]] = {}
    remarks: list[str] = []
    named = tuple(map(traffic.filter_of, filters))
    for step, begin, end in _stretches(since, until):
        request = FiguresRequest(
            signal=traffic.SIGNAL, since=begin, until=end - _JUST_BEFORE, filters=named, step=step, is_whole=True
        )
        coverage: Coverage | None = None
        async for page in figure_pages(bus, request):
            coverage = page.coverage
            for each in page.figures:
                figures = sums.setdefault(each.subject, {})
                figures[each.figure] = figures.get(each.figure, 0.0) + (each.mean or 0.0) * each.n
        unit = "hours" if step == "1h" else "minutes"
        remarks.append(f"requests are counted by whole {unit} from {begin:{_TIME}} until {end:{_TIME}}")
        remarks += coverage.remarks(begin, end) if coverage is not None else []
    return sums, remarks


def _stretches(since: datetime, until: datetime) -> list[tuple[str, datetime, datetime]]:
    """Step, begin and end: by minutes, or by hours and by minutes of the last one."""
    if until - since <= BY_MINUTES:
        return [("1m", _begun(since, _MINUTE), until)]
    hour = _begun(until, _HOUR)
    return [("1h", _begun(since, _HOUR), hour), *([("1m", hour, until)] if hour < until else [])]


def _begun(at: datetime, step: timedelta) -> datetime:
    """When the minute or the hour of a moment began."""
    return at - (at - datetime(1970, 1, 1, tzinfo=at.tzinfo)) % step


def _calls(subject: str, figures: dict[str, float]) -> KeptCalls:
    pulse, peer = traffic.parts_of(subject)
    tokens = parse(pulse).tokens
    cluster, kind, namespace, name = (_value(tokens[each]) for each in ("cluster", "kind", "namespace", "name"))
    return KeptCalls(Ref(cluster, kind, name, namespace), peer, figures)


def _value(token: str) -> str:
    """A long name is cut in subjects, and then stands for itself."""
    return token if is_hashed(token) else unescape(token)


def _unkept(objectives: Iterable[Objective], until: datetime) -> list[str]:
    asked = {each.edge.within_ms for each in objectives if each.edge is not None and each.edge.within_ms is not None}
    if not (unkept := sorted(asked - set(traffic.BOUNDS_MS))):
        return []
    bounds = ", ".join(f"{each:,}" for each in traffic.BOUNDS_MS)
    limits = ", ".join(f"{each:g}" for each in unkept)
    return [f"requests within {limits} ms are not known before {until:{_TIME}}; those within {bounds} ms are kept"]
