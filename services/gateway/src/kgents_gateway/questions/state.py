"""Questions about many entities: the topology, health, alerts, search."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from heapq import merge
from itertools import islice
from operator import attrgetter, itemgetter
from typing import Annotated, Any, Final, TypeVar

from msgspec import Meta, Raw, field
from msgspec.structs import asdict, replace

from kgents_gateway import answers
from kgents_gateway.questions.arguments import (
    LIMIT_MAX,
    AfterId,
    Arguments,
    BadArgumentError,
    Filters,
    Past,
    State,
    checked,
    past,
)
from kgents_gateway.questions.question import Question
from kgents_gateway.questions.records import Documented, Joined
from kgents_gateway.questions.world import AsOf, World
from kgents_shared.bus.time_slice import TimeSlice, released
from kgents_shared.contract.alert import STATES
from kgents_shared.contract.entity import Ref
from kgents_shared.view.entity import EntityView
from kgents_shared.view.find import Search
from kgents_shared.view.selection import Selection

T = TypeVar("T")

SORTED_AT_ONCE: Final = 5_000
"""Items that are sorted without a pause: 5 ms."""


class TopologyArguments(Filters, frozen=True, kw_only=True):
    """Which entities, and when."""

    at: Past = ""
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX * 10, description="At most so many entities.")] = LIMIT_MAX
    after_id: AfterId = ""


class HealthArguments(Filters, frozen=True, kw_only=True):
    """Which entities, and when."""

    at: Past = ""


class AlertArguments(Filters, frozen=True, kw_only=True):
    """Which entities, which of their alerts, and when."""

    at: Past = ""

    states: Annotated[list[State], Meta(description="`pending`, `firing`, `resolved`.")] = field(
        default_factory=lambda: ["firing"]
    )
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="At most so many alerts.")] = 1_000
    after_id: Annotated[str, Meta(max_length=1_200, description="Only alerts behind those of a page: its `next`.")] = ""


class SearchArguments(Arguments, frozen=True, kw_only=True):
    """What to search for, and when it was there."""

    at: Past = ""

    q: Annotated[
        str, Meta(min_length=1, max_length=200, description="A name or a part of one: `cart`, `pod/shop/cart-7f`.")
    ]
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="At most so many entities.")] = 100
    after_id: AfterId = ""


async def topology(world: World, arguments: TopologyArguments) -> Joined:
    """The entities now, or as they were."""
    selection = arguments.selection()
    if (then := await _then(world, arguments.at, selection)) is not None:
        views = [each for each in then.entities if each.key > arguments.after_id]
        return replace(await _page(views, arguments.limit, "", then.at, None), **asdict(then.known))
    mark = world.current.mark
    views = [each async for each in selected(world, selection) if each.key > arguments.after_id]
    return await _page(views, arguments.limit, str(mark or ""), world.now(), world.stale_since)


async def health(world: World, arguments: HealthArguments) -> answers.HealthSummary:
    """How well the selected entities are, or were."""
    selection = arguments.selection()
    then = await _then(world, arguments.at, selection)
    tally = answers.Tally()
    async for each in _entities(world, selection, then):
        tally.add(each)
    is_of_clusters = selection == Selection(clusters=selection.clusters)
    of_all = then.clusters if then is not None else world.current.clusters()
    clusters = [each for each in of_all if is_of_clusters and selection.takes_cluster(each.ref.cluster)]
    if then is not None:
        return tally.summary(clusters, None, then.known)
    return tally.summary(clusters, world.stale_since)


async def alerts(world: World, arguments: AlertArguments) -> answers.Alerts:
    """The alerts of the selected entities, as they are or were."""
    checked("states", arguments.states, STATES)
    after = answers.alert_place(arguments.after_id)
    if after is None and arguments.after_id:
        raise BadArgumentError(f"expected after_id as `next` of a page of alerts, found {arguments.after_id[:64]!r}")
    found: list[answers.Placed] = []
    selection = arguments.selection()
    then = await _then(world, arguments.at, selection)
    async for view in _entities(world, selection, then):
        placed = answers.alerts_of(view, arguments.states)
        found += [each for each in placed if after is None or each[0] > after]
    listed = await _first(found, arguments.limit, key=itemgetter(0))
    next_ = answers.alert_place_text(listed[-1][0]) if len(found) > len(listed) else ""
    alerts_ = [alert for _, alert in listed]
    if then is not None:
        return answers.Alerts(alerts_, len(found), next_, None, **asdict(then.known))
    return answers.Alerts(alerts_, len(found), next_, world.stale_since)


async def search(world: World, arguments: SearchArguments) -> Joined:
    """The entities that a name may mean, or meant."""
    then = await _then(world, arguments.at, Selection())
    search_ = Search(arguments.q)
    by_ref: dict[Ref, EntityView] = {}  # of then
    async for each in _entities(world, Selection(), then):  # which lets other tasks run in between
        search_.add(each.ref)
        if then is not None:
            by_ref[each.ref] = each
    view_of, time_slice = by_ref.get if then is not None else world.current.fold.get, TimeSlice()
    behind: list[EntityView] = []
    for ref in search_.best:
        if (view := view_of(ref)) is not None and view.key > arguments.after_id:
            behind.append(view)
        await time_slice.checkpoint()
    if then is None:
        return await _page(behind, arguments.limit, "", world.now(), world.stale_since)
    found = await _page(behind, arguments.limit, "", then.at, None)
    return replace(found, **asdict(then.known))


async def _then(world: World, at: str, selection: Selection) -> AsOf | None:
    """The selected entities at a time; None: now."""
    time = past(at, "at", world.now())
    return await world.streams.as_of(selection, time) if time is not None else None


async def _entities(world: World, selection: Selection, then: AsOf | None) -> AsyncIterator[EntityView]:
    """Each selected entity, of now or of then; other tasks run in between."""
    if then is None:
        async for each in selected(world, selection):
            yield each
        return
    time_slice = TimeSlice()
    while then.entities:  # this question's own: released one by one, not all at once
        yield then.entities.pop()
        await time_slice.checkpoint()


async def selected(world: World, selection: Selection) -> AsyncIterator[EntityView]:
    """The entities now, in the order in which they came; other tasks run in between."""
    current, time_slice = world.current, TimeSlice()
    for key in current.fold.known_keys():
        view = current.view(key)
        if view is not None and selection.takes(view):
            yield view
        await time_slice.checkpoint()


async def _page(
    views: list[EntityView],
    limit: int,
    mark: str,
    at: datetime,
    stale_since: datetime | None,
) -> Joined:
    """The first so many in the order of ids, and where to go on."""
    if len(views) <= limit:
        return await _joined(views, len(views), mark, at, stale_since)
    listed = await _first(views, limit, key=attrgetter("key"))
    count = len(views)
    await released(views)
    return await _joined(listed, count, mark, at, stale_since, next_=listed[-1].key)


async def _first(items: list[T], limit: int, key: Callable[[T], Any]) -> list[T]:
    """The first so many in order; other tasks run in between."""
    time_slice = TimeSlice()
    runs: list[list[T]] = []
    for start in range(0, len(items), SORTED_AT_ONCE):
        runs.append(sorted(items[start : start + SORTED_AT_ONCE], key=key))
        await time_slice.checkpoint()
    found = []
    for each in islice(merge(*runs, key=key), limit):
        found.append(each)
        await time_slice.checkpoint()
    for run in runs:
        await released(run)
    return found


async def _joined(
    views: list[EntityView],
    count: int,
    mark: str,
    at: datetime,
    stale_since: datetime | None,
    *,
    next_: str = "",
) -> Joined:
    time_slice = TimeSlice()
    records: list[Raw] = []
    for view in views:
        records.append(Raw(answers.record_of(view)))
        await time_slice.checkpoint()
    await released(views)
    return Joined(records, count, mark, at, stale_since, [], next_)


QUESTIONS: Final = (
    Question("topology", "The entities now, or as they were at a time", TopologyArguments, Documented, topology, True),
    Question(
        "health", "How well everything is, by cluster and kind", HealthArguments, answers.HealthSummary, health, True
    ),
    Question("alerts", "The alerts that fire", AlertArguments, answers.Alerts, alerts, True),
    Question("search", "The entities that a name may mean", SearchArguments, Documented, search, True),
)
