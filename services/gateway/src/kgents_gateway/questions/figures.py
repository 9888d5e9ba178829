"""Questions about figures: those of one entity since a time, and the last ones of many."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from kgents_gateway.questions.arguments import LIMIT_MAX, AfterId, Filters, OneEntity, Past, Word, past
from kgents_gateway.questions.entity import one
from kgents_gateway.questions.question import Question
from kgents_gateway.questions.world import World
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.archive import Coverage, Rolled
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.figures import known_figures
from kgents_shared.contract.pulse import DatabasePulse, Pulse
from kgents_shared.contract.subjects import unescape
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.wire import Time
from kgents_shared.view.entity import key_of_ref
from kgents_shared.view.selection import Selection

SAMPLES_MAX: Final = 5_000
"""Samples in one answer: an hour of one every second, and more."""
NOT_ALL_TAKEN: Final = "topology, health: of some entities their labels and levels at that time are no longer kept"


class MetricArguments(OneEntity, frozen=True, kw_only=True):
    """Which figures of which entity."""

    metrics: Annotated[list[Word], Meta(description="Names such as `cpu_percent`, `pool.active`; none: all.")] = []
    since: Annotated[Past, Meta(description="Stored since: RFC 3339, or how long ago: `-10m`.")] = "-10m"
    until: Annotated[Past, Meta(description="Stored until then; empty: until now.")] = ""
    limit: Annotated[int, Meta(ge=1, le=SAMPLES_MAX, description="The last so many samples.")] = SAMPLES_MAX


class Series(msgspec.Struct, frozen=True):
    """One figure over time."""

    source: str
    at: list[Time]
    values: list[float | None]
    """Null: it applied and was not known."""


class KeptSeries(msgspec.Struct, frozen=True):
    """One figure by minutes or hours; each list has a value for each of `at`."""

    source: str
    at: list[Time]
    """When each begins."""
    n: list[int]
    """Numbers."""
    nulls: list[int]
    """How often it applied and was not known. With no number at all the figure is not known then."""
    min: list[float | None]
    max: list[float | None]
    mean: list[float | None]
    last: list[float | None]
    increase: list[float | None]
    """How much a counter grew, over its resets. Null: it is a gauge, or no sample came before."""


class Metrics(msgspec.Struct, frozen=True):
    """Figures of one entity."""

    ref: Ref
    id: str
    interval_s: float | None
    """How often they are measured; null: there is no sample."""
    series: dict[str, list[Series]]
    """Figure → its samples, by source."""
    is_cut: bool
    """There are older samples since then; `limit` are given."""
    step: str = ""
    """How long each value of `kept` is for: `1m` or `1h`; empty: there are none."""
    kept: dict[str, list[KeptSeries]] = {}
    """Figure → what the archive keeps of the time before the first sample of the stream, by source."""
    archived: list[Coverage] = []
    """What the archive knows of that time; empty: it was not asked."""
    remarks: list[str] = []
    """What is not known of that time, as sentences; empty: nothing."""


class LastFigures(msgspec.Struct, frozen=True):
    """The last figures of one entity."""

    ref: Ref
    id: str
    source: str
    at: Time
    text: str
    figures: dict[str, float | None]
    """Null: it applies and is not known."""
    interval_s: float
    """How often they are measured: after three of these they are old."""


class PageArguments(Filters, frozen=True, kw_only=True):
    """Of which entities."""

    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="At most so many entities.")] = LIMIT_MAX
    at: Past = ""
    after_id: AfterId = ""


class LastArguments(PageArguments, frozen=True, kw_only=True):
    """Of which entities, and which figures."""

    metrics: Annotated[list[Word], Meta(description="Names such as `cpu_percent`; none: all.")] = []


class LastOfMany(msgspec.Struct, frozen=True):
    """The last figures of some entities."""

    entities: list[LastFigures]
    count: int
    """How many there are, behind `after_id`; `entities` holds at most `limit` of them."""
    next: str
    """`after_id` of the next page; empty: there is none."""
    remarks: list[str] = []
    """What is not known of a time that has been, as sentences; empty: nothing."""


class Databases(msgspec.Struct, frozen=True):
    """The last pulse of every database, and of every comparison of two."""

    databases: list[DatabasePulse]
    count: int
    """How many there are, behind `after_id`; `databases` holds at most `limit` of them."""
    next: str
    """`after_id` of the next page; empty: there is none."""
    comparisons: list[DatabasePulse] = []
    """The last pulse of every comparison of two databases, on each page: there are few."""
    remarks: list[str] = []
    """What is not known of a time that has been, as sentences; empty: nothing."""


async def metrics(world: World, arguments: MetricArguments) -> Metrics:
    """The figures of one entity since a time."""
    ref, now = (await one(world, arguments.entity_id)).ref, world.now()
    since = past(arguments.since, "since", now) or now - timedelta(minutes=10)
    until = past(arguments.until, "until", now)
    pulses = await world.streams.pulses_since(ref, since, arguments.limit + 1, until)
    is_cut = len(pulses) > arguments.limit
    pulses = pulses[is_cut:]
    series = await asyncio.to_thread(_series, pulses, arguments.metrics)
    interval_s = pulses[-1].interval_s if pulses else None
    if is_cut:
        return Metrics(ref, arguments.entity_id, interval_s, series, is_cut)
    kept = await world.streams.kept_figures(ref, since, tuple(arguments.metrics), until)
    archived = [kept.coverage] if kept.coverage is not None else []
    by_step = _kept_series(kept.figures)
    step = kept.step if by_step else ""
    return Metrics(ref, arguments.entity_id, interval_s, series, is_cut, step, by_step, archived, kept.remarks)


def _kept_series(kept: Sequence[Rolled]) -> dict[str, list[KeptSeries]]:
    found: dict[str, dict[str, KeptSeries]] = {}
    for each in kept:
        source = unescape(each.subject.split(".")[3])
        by_source = found.setdefault(each.figure, {})
        if (series := by_source.get(source)) is None:
            series = by_source[source] = KeptSeries(source, [], [], [], [], [], [], [], [])
        series.at.append(each.at)
        for name in ("n", "nulls", "min", "max", "mean", "last", "increase"):
            getattr(series, name).append(getattr(each, name))
    return {name: list(by_source.values()) for name, by_source in sorted(found.items())}


def _series(pulses: Sequence[Pulse], names: Collection[str]) -> dict[str, list[Series]]:
    """The figures with these names, or all of them; of many samples it takes a tenth of a second."""
    found: dict[str, dict[str, Series]] = {}
    for pulse in pulses:
        for name, value in known_figures(pulse).items():
            if not names or name in names:
                series = found.setdefault(name, {}).setdefault(pulse.source, Series(pulse.source, [], []))
                series.at.append(pulse.timestamp)
                series.values.append(value)
    return {name: list(by_source.values()) for name, by_source in sorted(found.items())}


async def last(world: World, arguments: LastArguments) -> LastOfMany:
    """The last figures of many entities."""
    of_kinds, taken = await _read(world, arguments), await _taken(world, arguments)
    found = await _behind(arguments.after_id, taken, of_kinds.pulses)
    listed = found[: arguments.limit]
    entities = await asyncio.to_thread(lambda: [_of(pulse, arguments.metrics) for _, pulse in listed])
    next_ = listed[-1][0] if len(found) > len(listed) else ""
    return LastOfMany(entities, len(found), next_, [*of_kinds.remarks, *taken.remarks])


async def databases(world: World, arguments: PageArguments) -> Databases:
    """The last pulse of every database, and of every comparison of two."""
    of_databases = msgspec.structs.replace(arguments, kinds=[kinds.DATABASE])
    of_comparisons = msgspec.structs.replace(arguments, kinds=[kinds.COMPARISON])
    taken = await _taken(world, msgspec.structs.replace(arguments, kinds=[kinds.DATABASE, kinds.COMPARISON]))
    read = await _read(world, of_databases)
    found = await _behind(arguments.after_id, taken, read.pulses)
    compared = await _behind("", taken, (await _read(world, of_comparisons)).pulses)
    known = [(key, pulse) for key, pulse in found if isinstance(pulse, DatabasePulse)]
    listed = known[: arguments.limit]
    next_ = listed[-1][0] if len(known) > len(listed) else ""
    comparisons = [pulse for _, pulse in compared[: arguments.limit] if isinstance(pulse, DatabasePulse)]
    return Databases([pulse for _, pulse in listed], len(known), next_, comparisons, [*read.remarks, *taken.remarks])


class _Read(msgspec.Struct, frozen=True):
    pulses: dict[Ref, Pulse]
    remarks: list[str]


async def _read(world: World, arguments: PageArguments) -> _Read:
    """The last pulses, now or at a time; by names and sources alone."""
    selection = arguments.selection()
    if (time := past(arguments.at, "at", world.now())) is None:
        return _Read(await world.streams.last_pulses(selection), [])
    found = await world.streams.pulses_at(selection, time)
    if time >= found.held_since:
        return _Read(found.pulses, [])
    remark = (
        f"pulse: samples are held since {found.held_since:%Y-%m-%d %H:%M:%SZ}; what is archived is part of each entity"
    )
    return _Read({}, [remark])


class _Taken(msgspec.Struct, frozen=True):
    takes: Callable[[Ref], bool]
    """Whether an entity has the labels and levels that are asked for."""
    remarks: list[str] = []
    """What is not known of them."""


async def _behind(after_id: str, taken: _Taken, found: dict[Ref, Pulse]) -> list[tuple[str, Pulse]]:
    """Those that are taken, and are behind `after_id` in the order of ids."""
    by_id = await asyncio.to_thread(lambda: sorted((key_of_ref(ref), ref) for ref in found))
    behind: list[tuple[str, Pulse]] = []
    time_slice = TimeSlice()
    for key, ref in by_id:
        if key > after_id and taken.takes(ref):
            behind.append((key, found[ref]))
        await time_slice.checkpoint()
    return behind


async def _taken(world: World, arguments: PageArguments) -> _Taken:
    """Which entities have the labels and levels that are asked for, now or at that time."""
    selection = msgspec.structs.replace(arguments.selection(), sources=())
    if not selection.signals:
        return _Taken(lambda _: True)
    if (time := past(arguments.at, "at", world.now())) is None:
        return _Taken(lambda ref: _takes(world, selection, ref))
    then = await world.streams.as_of(selection, time)
    remarks = [NOT_ALL_TAKEN] if then.forgotten or then.remarks else []
    return _Taken({each.ref for each in then.entities}.__contains__, remarks)


def _takes(world: World, selection: Selection, ref: Ref) -> bool:
    view = world.current.fold.get(ref)
    return view is not None and selection.takes(view)


def _of(pulse: Pulse, names: list[str]) -> LastFigures:
    values = {name: value for name, value in known_figures(pulse).items() if not names or name in names}
    key = key_of_ref(pulse.ref)
    return LastFigures(pulse.ref, key, pulse.source, pulse.timestamp, pulse.text, values, pulse.interval_s)


QUESTIONS: Final = (
    Question("metrics", "The figures of one entity since a time", MetricArguments, Metrics, metrics),
    Question("metrics.last", "The last figures of many entities", LastArguments, LastOfMany, last),
    Question("databases", "The last pulse of every database", PageArguments, Databases, databases),
)
