"""Events that KGENTS_EVENT no longer holds → from the archive, as if the stream had delivered them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import StreamInfo, stream_info
from kgents_shared.contract.archive import PAGE_MAX, Coverage, Stored, VersionsRequest
from kgents_shared.contract.errors import NoArchiveError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.view.archive import version_pages
from kgents_shared.view.past import EVER

SIGNAL: Final = "event"
EVENTS_MAX: Final = 20_000
"""Of the archive in one answer: some 20 MB."""


class Older(msgspec.Struct, frozen=True):
    """Events before those that the stream holds."""

    deliveries: list[Delivery]
    """The newest first."""
    coverage: Coverage | None
    """What the archive knows of that time; None: it was not asked, or does not answer."""
    remarks: list[str]
    """What is not known, as sentences; mostly none."""
    next: str = ""
    """Where to go on; empty: there are no older ones."""


async def older_events(
    bus: Bus,
    filters: Sequence[str],
    since: datetime,
    *,
    until: datetime | None = None,
    after: str = "",
    limit: int = EVENTS_MAX,
) -> Older:
    """The newest events since a time that the stream no longer holds; none if it holds all of them.

    Args:
        bus: connected.
        filters: NATS filters.
        since: older ones are left out.
        until: later ones are left out.
        after: `next` of what was read before.
        limit: at most so many.

    Raises:
        BusError: the server refused, or did not answer.
    """
    kept = await stream_info(await bus.session(), NAME_BY_SIGNAL[SIGNAL])
    reach = held_since(kept)
    end = min(reach, until or reach)
    if since >= end:
        return Older([], None, [])
    request = VersionsRequest(
        signal=SIGNAL, since=since, until=end, filters=tuple(filters), newest_first=True, after=after,
        limit=min(limit, PAGE_MAX),
    )  # fmt: skip
    found: list[Delivery] = []
    coverage: Coverage | None = None
    next_ = after
    try:
        async for page in version_pages(bus, request):
            coverage = page.coverage.joined(coverage) if coverage is not None else page.coverage
            found += (_delivery(each) for each in page.messages if not _is_held(each, kept))
            next_ = page.next
            if found and len(found) + request.limit > limit:
                break
    except NoArchiveError as error:
        forgotten = f"events are kept in the stream since {reach:%Y-%m-%d %H:%M:%SZ}; {error}"
        return Older(found, coverage, [forgotten] if kept.state.first_seq > 1 else [])  # else it holds all there were
    return Older(found, coverage, coverage.remarks(since, end) if coverage is not None else [], next_)


def held_since(kept: StreamInfo) -> datetime:
    """From when on a log holds all that was stored in it: it drops the oldest."""
    if kept.state.first_seq <= 1:
        return kept.created_at
    return kept.state.first_ts if kept.state.first_seq <= kept.last_seq else kept.ts


def _is_held(each: Stored, kept: StreamInfo) -> bool:
    """Whether the stream delivers it as well: the one that its oldest message is."""
    is_of_stream = each.at >= kept.created_at and each.at >= kept.state.first_ts - timedelta(microseconds=1)
    return is_of_stream and each.seq >= max(kept.state.first_seq, 1) and each.seq <= kept.last_seq


def _delivery(each: Stored) -> Delivery:
    time_ns = (each.at - EVER) // timedelta(microseconds=1) * 1_000
    return Delivery(each.subject, each.body, None, each.seq, 0, time_ns, 0)
