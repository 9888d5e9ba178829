"""Figures of one entity that KGENTS_PULSE no longer holds → by minutes or hours, from the archive."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract.archive import Coverage, FiguresRequest, Rolled
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import NoArchiveError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.subjects import pattern
from kgents_shared.view.archive import figure_pages
from kgents_shared.view.events import held_since

BY_MINUTES: Final = timedelta(hours=24)
"""A longer time is answered by hours: a day of minutes is 1,440 values of each figure."""
LAG: Final = timedelta(minutes=2)
"""What the archive is behind at most: a minute is stored when it is over."""
ROLLED_MAX: Final = 50_000
"""Values in one answer, the newest."""


class Kept(msgspec.Struct, frozen=True):
    """What is kept of the figures of one entity."""

    step: str
    """`1m` or `1h`."""
    figures: list[Rolled]
    """The oldest first."""
    coverage: Coverage | None
    """What the archive knows of that time; None: it was not asked, or does not answer."""
    remarks: list[str]
    """What is not known, as sentences; mostly none."""


async def kept_figures(
    bus: Bus,
    ref: Ref,
    since: datetime,
    *,
    until: datetime | None = None,
    names: tuple[str, ...] = (),
    before_stream: bool = False,
) -> Kept:
    """What is kept of the figures of one entity since a time, by minutes if that is a day or less.

    Args:
        bus: connected.
        ref: of the entity.
        since: when to begin.
        until: when to end; None: now.
        names: of the figures; none: all.
        before_stream: only what the stream of pulses no longer holds; nothing if it holds everything since then.

    Raises:
        BusError: the server refused, or did not answer.
    """
    kept = await stream_info(await bus.session(), NAME_BY_SIGNAL["pulse"])
    step = "1m" if (until or kept.ts) - since <= BY_MINUTES else "1h"
    end = held_since(kept) if before_stream else kept.ts
    until = min(end, until or end)
    if since >= until:
        return Kept(step, [], None, [])
    filter_ = pattern("pulse", cluster=ref.cluster, kind=ref.kind, namespace=ref.namespace, name=ref.name)
    request = FiguresRequest(since=since, until=until, filters=(filter_,), figures=names, step=step)
    found: list[Rolled] = []
    coverage: Coverage | None = None
    is_cut = False
    try:
        async for page in figure_pages(bus, request):
            coverage = page.coverage.joined(coverage) if coverage is not None else page.coverage
            found += page.figures
            if is_cut := len(found) >= ROLLED_MAX and bool(page.next):
                break
    except NoArchiveError as error:
        remark = f"pulse: its stream holds samples since {held_since(kept):%Y-%m-%d %H:%M:%SZ}; archive: {error}"
        return Kept(step, found[::-1], coverage, [remark])
    stored = until if before_stream else min(until, kept.ts - LAG)
    remarks = coverage.remarks(since, stored) if coverage is not None else []
    if is_cut:
        remarks.append(f"there are older values than these {len(found):,}; a shorter time shows fewer, and whole")
    return Kept(step, found[::-1], coverage, remarks)
