"""Questions about one entity: its record, its health, what is around it, what depends on it, how it came to this."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from msgspec.structs import asdict, replace

from kgents_gateway import answers
from kgents_gateway.around import Around
from kgents_gateway.questions.arguments import LIMIT_MAX, Arguments, Id, OneEntity, Past, past
from kgents_gateway.questions.question import Question
from kgents_gateway.questions.records import RecordThen
from kgents_gateway.questions.state import selected
from kgents_gateway.questions.world import AsOf, World
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.archive import Coverage
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.contract.subjects import ROOT
from kgents_shared.contract.wire import Time
from kgents_shared.view.entity import EntityView, key_of, key_of_ref
from kgents_shared.view.find import COMPARED_MAX
from kgents_shared.view.past import VERSIONS_MAX
from kgents_shared.view.paths import Graph
from kgents_shared.view.selection import Selection

FORGOTTEN_AT_ONCE: Final = 100
"""Entities of a walk, with their connections: a millisecond."""


class MomentArguments(OneEntity, frozen=True, kw_only=True):
    """Which entity, and when."""

    at: Past = ""


class ReachArguments(MomentArguments, frozen=True, kw_only=True):
    """Which entity, how many others, and when."""

    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="At most so many entities.")] = 1_000


class NeighbourArguments(ReachArguments, frozen=True, kw_only=True):
    """Which entity, and how far from it."""

    depth: Annotated[int, Meta(ge=1, le=5, description="Over at most so many connections.")] = 1


class PathArguments(Arguments, frozen=True, kw_only=True):
    """From which entity to which, and when."""

    source: Id
    target: Id
    at: Past = ""


class HistoryArguments(OneEntity, frozen=True, kw_only=True):
    """Which entity, and how far back."""

    since: Annotated[Past, Meta(description="Only since then: RFC 3339, or how long ago: `-2d`; empty: all.")] = ""
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="At most so many, the newest.")] = VERSIONS_MAX


class Moment(msgspec.Struct, frozen=True):
    """One message in the history of an entity."""

    signal: str
    """`topology`, `health` or `alert`."""
    at: Time
    seq: int
    text: str
    is_removal: bool
    level: str | None = None
    """Of health."""
    score: float | None = None
    status: str | None = None
    """Of the topology."""
    state: str | None = None
    """Of an alert."""
    is_archived: bool = False
    """It is from the archive; the stream does not hold it any more."""


class Versions(msgspec.Struct, frozen=True):
    """How an entity came to this, and what is not known of it."""

    versions: list[Moment]
    """Oldest first."""
    archived: list[Coverage]
    """What the archive knows, by signal; empty: it was not asked, or does not answer."""
    remarks: list[str]
    """What is not known, as sentences; empty: nothing."""


async def entity(world: World, arguments: MomentArguments) -> msgspec.Raw:
    """One entity with its health and alerts, as it is or was."""
    view, known = await _one_at(world, arguments)
    record = answers.record_of(view)
    return msgspec.Raw(answers.with_known(record, known) if arguments.at else record)


async def health(world: World, arguments: MomentArguments) -> answers.EntityHealth:
    """How well one entity is, or was, and why."""
    view, known = await _one_at(world, arguments)
    return replace(answers.health_of(view), **asdict(known))


async def neighbours(world: World, arguments: NeighbourArguments) -> answers.Neighbourhood:
    """What is connected with an entity, or was."""
    async with _around(world, arguments.at) as around:
        ref = (await around.one(arguments.entity_id)).ref
        found = await asyncio.to_thread(
            answers.neighbourhood, around.graph, ref, arguments.depth, arguments.limit, around.state
        )
        return replace(found, **asdict(around.known))


async def path(world: World, arguments: PathArguments) -> answers.Paths:
    """How two entities are connected, or were."""
    async with _around(world, arguments.at) as around:
        source, target = await around.one(arguments.source), await around.one(arguments.target)
        found = await asyncio.to_thread(answers.paths, around.graph, source.ref, target.ref)
        return replace(found, **asdict(around.known))


async def impact(world: World, arguments: ReachArguments) -> answers.Impact:
    """What the loss of an entity would reach, or would have reached."""
    async with _around(world, arguments.at) as around:
        ref = (await around.one(arguments.entity_id)).ref
        found = await asyncio.to_thread(answers.impact, around.graph, ref, arguments.limit, around.state)
        return replace(found, **asdict(around.known))


async def history(world: World, arguments: HistoryArguments) -> list[Moment]:
    """The versions of an entity that are kept, oldest first."""
    return (await _versions(world, arguments)).versions


async def versions(world: World, arguments: HistoryArguments) -> Versions:
    """The same, and what is not known of them."""
    return await _versions(world, arguments)


async def _versions(world: World, arguments: HistoryArguments) -> Versions:
    since = past(arguments.since, "since", world.now())
    ref = EntityView(arguments.entity_id, answers.NO_ROWS).ref
    kept = await world.streams.versions(ref, since, arguments.limit)
    if not kept.versions and world.current.view(arguments.entity_id) is None:
        raise await _unknown(world, arguments.entity_id)
    found: list[Moment] = []
    for each in kept.versions:
        alert = next(iter(each.view.alerts), None)
        found.append(
            Moment(
                each.signal,
                each.at,
                each.seq,
                alert.text if alert is not None else each.view.text,
                each.is_removal,
                each.view.level if each.signal == "health" and not each.is_removal else None,
                each.view.score if each.signal == "health" else None,
                each.view.status if each.signal == "topology" and not each.is_removal else None,
                alert.state if alert is not None else None,
                each.is_archived,
            )
        )
    return Versions(found, list(kept.archived.values()), kept.remarks)


async def one(world: World, entity_id: str) -> EntityView:
    """The entity with an id.

    Raises:
        NotFoundError: there is none; the text says which are near.
    """
    if (view := world.current.view(entity_id)) is None:
        raise await _unknown(world, entity_id)
    return view


async def _one_at(world: World, arguments: MomentArguments) -> tuple[EntityView, answers.OfMoment]:
    """The entity with an id, now or at a time, and how well that time is known of it.

    Raises:
        NotFoundError: there is, or was, none, or that is no longer known.
    """
    entity_id = arguments.entity_id
    if (time := past(arguments.at, "at", world.now())) is None:
        return await one(world, entity_id), answers.NOW
    then = await world.streams.as_of(_selecting(entity_id), time)
    of_it = [each for each in then.forgotten if each.endswith(".>") or key_of(each)[1] == entity_id]
    if (view := next((each for each in then.entities if each.key == entity_id), None)) is None:
        raise await _missing(world, entity_id, then)
    return view, answers.OfMoment(forgotten=of_it, archived=then.archived, remarks=then.remarks)


def _selecting(entity_id: str) -> Selection:
    """What selects the entity with this id, and at most a few others."""
    if (ref := EntityView(entity_id, answers.NO_ROWS).ref).kind:
        return Selection(clusters=(ref.cluster,), kinds=(ref.kind,), namespaces=(ref.namespace,), names=(ref.name,))
    cluster, kind, *_ = (*entity_id.split("."), "", "")  # part of its name is a hash, or it is no id at all
    return Selection(clusters=(cluster,), kinds=(kind,))


async def _missing(world: World, entity_id: str, then: AsOf) -> NotFoundError:
    """Why there is no entity with this id at a time that has been."""
    is_forgotten = not {f"{ROOT}.topology.>", f"{ROOT}.topology.{entity_id}"}.isdisjoint(then.forgotten)
    if is_forgotten or f"{ROOT}.topology.>" in then.partly_archived:
        return NotFoundError("the state of this entity at that time is no longer kept; leave out `at` for now")
    return await _unknown(world, entity_id)


async def _unknown(world: World, entity_id: str) -> NotFoundError:
    """In a thread: it takes longer to compare names than clients of the streams should wait."""
    refs: list[Ref] = []
    async for each in selected(world, Selection()):
        refs.append(each.ref)
        if len(refs) == COMPARED_MAX:
            break
    return await asyncio.to_thread(answers.unknown_id, entity_id, refs)


class _Surroundings(msgspec.Struct, frozen=True):
    """The connections of all entities, for a walk through them in a thread."""

    graph: Graph
    state: answers.State
    one: Callable[[str], Awaitable[EntityView]]
    """The entity with an id; raises NotFoundError."""
    known: answers.OfMoment = answers.NOW
    """How well the time is known."""
    views: dict[str, EntityView] = {}
    """Of a time that has been: its entities, by key."""


@asynccontextmanager
async def _around(world: World, at: str) -> AsyncIterator[_Surroundings]:
    """The connections now, each read when a walk comes to it; of a time that has been all are read."""
    if (time := past(at, "at", world.now())) is not None:
        then = await world.streams.as_of(Selection(), time)
        found = await asyncio.to_thread(_past_surroundings, world, then)
    else:
        current = world.current
        around = Around(current.view, await current.referring())
        found = _Surroundings(around, around.state, partial(one, world))
    try:
        yield found
    finally:
        time_slice = TimeSlice()
        while found.graph.shrink(FORGOTTEN_AT_ONCE):
            await time_slice.checkpoint()
        while found.views:
            found.views.popitem()
            await time_slice.checkpoint()


def _past_surroundings(world: World, then: AsOf) -> _Surroundings:
    by_key = {each.key: each for each in then.entities}

    async def existing(entity_id: str) -> EntityView:
        if (view := by_key.get(entity_id)) is not None:
            return view
        raise await _missing(world, entity_id, then)

    graph = Graph(by_key.values())
    then.entities.clear()  # this question's own: from here on `views` alone holds them, to be released in parts
    return _Surroundings(graph, lambda ref: by_key.get(key_of_ref(ref)), existing, then.known, by_key)


QUESTIONS: Final = (
    Question("entity", "One entity with its health and alerts", MomentArguments, RecordThen, entity, True),
    Question("entity.health", "How well one entity is, and why", MomentArguments, answers.EntityHealth, health, True),
    Question(
        "entity.neighbours",
        "What is connected with an entity",
        NeighbourArguments,
        answers.Neighbourhood,
        neighbours,
        True,
    ),
    Question("entity.impact", "What the loss of an entity would reach", ReachArguments, answers.Impact, impact, True),
    Question("entity.history", "The versions of an entity that are kept", HistoryArguments, list[Moment], history),
    Question(
        "entity.versions",
        "The versions of an entity, and what is not known of them",
        HistoryArguments,
        Versions,
        versions,
    ),
    Question("path", "How two entities are connected", PathArguments, answers.Paths, path, True),
)
