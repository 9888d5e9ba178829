"""Questions about time: what differs between two moments, which events there were."""

from datetime import timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from kgents_gateway import answers
from kgents_gateway.current import Current
from kgents_gateway.questions.arguments import BadArgumentError, Filters, Past, past
from kgents_gateway.questions.question import Question
from kgents_gateway.questions.state import selected
from kgents_gateway.questions.world import World
from kgents_shared.contract.codec import EVENT
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.event import SEVERITIES, Event
from kgents_shared.contract.wire import Time
from kgents_shared.view.difference import differences
from kgents_shared.view.entity import EntityView
from kgents_shared.view.feed import stored
from kgents_shared.view.past import state_at
from kgents_shared.view.selection import Selection

EVENTS_MAX: Final = 5_000
EVENTS_READ: Final = 50_000
"""Events that are read to find the last ones of a selection."""


class DiffArguments(Filters, frozen=True, kw_only=True):
    """Which entities, and the two moments."""

    since: Annotated[Past, Meta(description="The first moment: RFC 3339, or how long ago: `-10m`.")]
    until: Annotated[Past, Meta(description="The second one; empty: now.")] = ""


class EventArguments(Filters, frozen=True, kw_only=True):
    """Which events."""

    since: Annotated[Past, Meta(description="Stored since: RFC 3339, or how long ago: `-1h`.")] = "-1h"
    severities: Annotated[list[str], Meta(description="`info`, `warning`, `error`, `critical`.")] = []
    limit: Annotated[int, Meta(ge=1, le=EVENTS_MAX, description="The last so many of them.")] = 500


class Changes(msgspec.Struct, frozen=True):
    """What differs between two moments."""

    since: Time
    until: Time
    entities: list[answers.Changed]
    forgotten: list[str]
    """Subjects that changed too often since: their state at that time is no longer kept."""


async def diff(world: World, arguments: DiffArguments) -> Changes:
    """What was added, removed and changed between two moments."""
    selection, now = arguments.selection(), world.now()
    since = past(arguments.since, "since", now)
    until = past(arguments.until, "until", now)
    if since is None:
        raise BadArgumentError("expected since as a time, found nothing")
    before = await state_at(world.bus, selection, since)
    forgotten = [subject for subjects in before.forgotten.values() for subject in subjects]
    if until is None:
        after: list[EntityView] = [each async for each in selected(world, selection)]
    else:
        after = list((await state_at(world.bus, selection, until)).fold.entities())
    found = differences(before.fold.entities(), after)
    return Changes(since, until or now, answers.changed(found), forgotten)


async def events(world: World, arguments: EventArguments) -> list[Event]:
    """The last events, newest first."""
    if unknown := set(arguments.severities) - set(SEVERITIES):
        raise BadArgumentError(f"expected severities out of {', '.join(SEVERITIES)}, found {min(unknown)[:32]!r}")
    selection, now = arguments.selection(), world.now()
    since = past(arguments.since, "since", now) or now - timedelta(hours=1)
    deliveries = await stored(world.bus, "event", selection.filters("event"), since=since, count=EVENTS_READ)
    found = [
        event
        for each in reversed(deliveries)
        if (event := decoded(each.subject, each.payload)) is not None
        and (not arguments.severities or event.severity in arguments.severities)
        and is_about(world.current, selection, event)
    ]
    return found[: arguments.limit]


def decoded(subject: str, payload: bytes) -> Event | None:
    """An event; None if it cannot be read, as one of a newer version."""
    try:
        return EVENT.decode(payload, subject=subject)
    except MalformedMessageError:
        return None


def is_about(current: Current, selection: Selection, event: Event) -> bool:
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
    Question("events", "The last events, newest first", EventArguments, list[Event], events),
)
