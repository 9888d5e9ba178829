"""Questions about time: what differs between two moments, which events there were."""

import asyncio
import hashlib
import re
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from kgents_gateway import answers
from kgents_gateway.questions.arguments import BadArgumentError, Filters, Past, Severity, checked, past
from kgents_gateway.questions.question import Question
from kgents_gateway.questions.state import selected
from kgents_gateway.questions.world import AsOf, Now, World
from kgents_shared.bus.time_slice import TimeSlice, released
from kgents_shared.contract.archive import PAGE_MAX, Coverage
from kgents_shared.contract.codec import EVENT
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.event import SEVERITIES, Event
from kgents_shared.contract.wire import Time
from kgents_shared.view.difference import differences
from kgents_shared.view.selection import Selection

EVENTS_MAX: Final = 5_000
EVENTS_READ: Final = 50_000
"""Events that are read to find those of one page."""

_NEXT: Final = re.compile(r"([0-9a-f]{8})-(\d{1,19})")
"""Which stream, by when it was created, and the sequence that the next page ends before."""

ARCHIVED: Final = "archive-"
"""What `next` begins with where the archive goes on."""


class DiffArguments(Filters, frozen=True, kw_only=True):
    """Which entities, and the two moments."""

    since: Annotated[Past, Meta(description="The first moment: RFC 3339, or how long ago: `-10m`.")]
    until: Annotated[Past, Meta(description="The second one; empty: now.")] = ""


class EventArguments(Filters, frozen=True, kw_only=True):
    """Which events."""

    since: Annotated[Past, Meta(description="Stored since: RFC 3339, or how long ago: `-1h`.")] = "-1h"
    until: Annotated[Past, Meta(description="Stored until then; empty: until now.")] = ""
    severities: Annotated[list[Severity], Meta(description="`info`, `warning`, `error`, `critical`.")] = []
    limit: Annotated[int, Meta(ge=1, le=EVENTS_MAX, description="The last so many of them.")] = 500
    after_id: Annotated[
        str, Meta(max_length=64, description="Only events older than those of a page: its `next`; with its `since`.")
    ] = ""


class Events(msgspec.Struct, frozen=True):
    """Some events, the newest first."""

    events: list[Event]
    since: Time
    """What is older is left out."""
    next: str
    """`after_id` of the next page, with older ones; empty: there is none."""
    archived: list[Coverage] = []
    """What the archive knows of the time before that which the stream holds; empty: it was not asked for this page."""
    remarks: list[str] = []
    """What is not known of that time, as sentences; empty: nothing."""


class Changes(msgspec.Struct, frozen=True):
    """What differs between two moments."""

    since: Time
    until: Time
    entities: list[answers.Changed]
    forgotten: list[str]
    """Subjects of which the state at that time is no longer kept, as `kgents.topology.>` before its stream was made."""
    archived: list[Coverage] = []
    """What of the first moment is from the archive, then what of the second one; empty: the streams hold it all."""
    remarks: list[str] = []
    """What else is not known of these moments, as sentences; empty: nothing."""


async def diff(world: World, arguments: DiffArguments) -> Changes:
    """What was added, removed and changed between two moments."""
    selection, now = arguments.selection(), world.now()
    since = past(arguments.since, "since", now)
    until = past(arguments.until, "until", now)
    if since is None:
        raise BadArgumentError("expected since as a time, found nothing")
    before = await world.streams.as_of(selection, since)
    if until is None:
        after = AsOf(now, [each async for each in selected(world, selection)], [], [], [], [])
    else:
        after = await world.streams.as_of(selection, until)
    # Both are this question's own, so a thread may compare them while others are served.
    forgotten = list(dict.fromkeys((*before.forgotten, *after.forgotten)))
    unknown = [*forgotten, *before.partly_archived, *after.partly_archived]
    found = await asyncio.to_thread(differences, before.entities, after.entities, unknown)
    await released(before.entities)
    await released(after.entities)
    remarks = list(dict.fromkeys((*before.remarks, *after.remarks)))
    archived = [*before.archived, *after.archived]
    return Changes(since, until or now, answers.changed(found), forgotten, archived, remarks)


async def events(world: World, arguments: EventArguments) -> Events:
    """The last events, newest first."""
    checked("severities", arguments.severities, SEVERITIES)
    selection, now = arguments.selection(), world.now()
    since = past(arguments.since, "since", now) or now - timedelta(hours=1)
    until = past(arguments.until, "until", now)
    if arguments.after_id.startswith(ARCHIVED):
        after = arguments.after_id.removeprefix(ARCHIVED)
        return await _older(world, selection, arguments, (since, until), [], after)
    created = await world.streams.events_created()
    epoch = hashlib.blake2b(created.encode(), digest_size=4).hexdigest()
    before = _before(arguments.after_id, epoch)
    found: list[Event] = []
    read, last, time_slice = 0, 0, TimeSlice()
    filters = selection.filters("event")
    async with world.streams.newest_events(filters, since, until, before) as stretches:
        async for stretch in stretches:
            for each in stretch.deliveries:
                event = decoded(each.subject, each.payload)
                if event is not None and _is_asked_for(world.current, selection, arguments, event):
                    if len(found) == arguments.limit:
                        return Events(found, since, f"{epoch}-{last}")
                    found.append(event)
                    last = each.seq
                await time_slice.checkpoint()
            read += len(stretch.deliveries)
            if read >= EVENTS_READ and stretch.has_more:
                return Events(found, since, f"{epoch}-{stretch.start}")
    return await _older(world, selection, arguments, (since, until), found, "")


async def _older(
    world: World,
    selection: Selection,
    arguments: EventArguments,
    span: tuple[datetime, datetime | None],
    found: list[Event],
    after: str,
) -> Events:
    """A page that the stream's own events begin, if any are left, and those of the archive go on."""
    since, until = span
    room = arguments.limit - len(found)
    limit = min(max(room, 1), PAGE_MAX)
    older = await world.streams.older_events(selection.filters("event"), since, until, after, limit)
    if room < 1:
        return Events(found, since, ARCHIVED if older.deliveries else "", [], older.remarks)
    time_slice = TimeSlice()
    for each in older.deliveries:
        event = decoded(each.subject, each.payload)
        if event is not None and _is_asked_for(world.current, selection, arguments, event):
            found.append(event)
        await time_slice.checkpoint()
    next_ = f"{ARCHIVED}{older.next}" if older.next else ""
    return Events(found, since, next_, [older.coverage] if older.coverage is not None else [], older.remarks)


def _before(after_id: str, epoch: str) -> int | None:
    """Which sequence a page ends before; None: it is the first one.

    Raises:
        BadArgumentError: no page of this stream has it as `next`.
    """
    if not after_id:
        return None
    if (found := _NEXT.fullmatch(after_id)) is None or found[1] != epoch:
        raise BadArgumentError(f"expected after_id as `next` of a page of this stream, found {after_id!r}; try: none")
    return int(found[2])


def _is_asked_for(current: Now, selection: Selection, arguments: EventArguments, event: Event) -> bool:
    is_severe = not arguments.severities or event.severity in arguments.severities
    return is_severe and is_about(current, selection, event)


def decoded(subject: str, payload: bytes) -> Event | None:
    """An event; None if it cannot be read, as one of a newer version."""
    try:
        return EVENT.decode(payload, subject=subject)
    except MalformedMessageError:
        return None


def is_about(current: Now, selection: Selection, event: Event) -> bool:
    """Whether an event is about an entity of the selection; labels and levels are those of now."""
    by_entity = msgspec.structs.replace(selection, sources=())  # an event names its own source
    if selection.sources and event.source not in selection.sources:
        return False
    if not by_entity.takes_ref(event.ref):
        return False
    if not by_entity.signals:
        return True
    view = current.fold.get(event.ref)
    return view is not None and by_entity.takes(view)


QUESTIONS: Final = (
    Question("diff", "What was added, removed and changed between two moments", DiffArguments, Changes, diff),
    Question("events", "The last events, newest first", EventArguments, Events, events),
)
