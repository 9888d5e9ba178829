"""Flags that select entities → a Query; a Query → the entities, now or then, or why there are none."""

import functools
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

import click
import msgspec

from kgents_cli.complete import complete_kinds
from kgents_cli.kinds import kinds_of
from kgents_cli.options import Command, Target, target_options
from kgents_cli.output import note
from kgents_cli.suggestion import did_you_mean
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import rfc3339
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.view.entity import STATE, EntityView
from kgents_shared.view.find import one
from kgents_shared.view.fold import Fold
from kgents_shared.view.live import snapshot
from kgents_shared.view.moment import moment
from kgents_shared.view.past import Past, state_at
from kgents_shared.view.selection import Selection, select


class Query(msgspec.Struct, frozen=True):
    """Which entities, and when."""

    selection: Selection
    asked_at: datetime
    at: datetime | None = None
    """None: now."""

    @property
    def time(self) -> datetime:
        """The time that ages are counted to."""
        return self.at or self.asked_at

    def narrowed(self, kinds: Iterable[str], names: Iterable[str] = ()) -> "Query":
        """The same for these kinds and names; of none, for all."""
        return msgspec.structs.replace(
            self, selection=msgspec.structs.replace(self.selection, kinds=tuple(kinds), names=tuple(names))
        )


def query_options(*, kind: bool = True, at: bool = True) -> Callable[[Command], Command]:
    """Give a command the flags that select entities and those of `target_options`; it receives `query` and `target`.

    Args:
        kind: whether kinds are a flag; else the command has them as arguments.
        at: whether the command can answer for a past time.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_query(*args: Any, target: Target, **given: Any) -> int | None:
            fields = {name: given.pop(name, None) for name in _FLAGS}
            return command(*args, query=_query(target, **fields), target=target, **given)

        wrapped = target_options(with_query)
        for option in reversed(_options(kind=kind, at=at)):
            wrapped = option(wrapped)
        return wrapped

    return decorate


_FLAGS: Final = ("namespace", "all_namespaces", "selector", "source", "level", "kind", "at")
"""Parameters of the flags that `_query` takes."""


def _options(*, kind: bool, at: bool) -> list[Callable[[Command], Command]]:
    found: list[Callable[[Command], Command]] = [
        click.option("-n", "--namespace", metavar="NAME", multiple=True, help="Only these namespaces."),
        click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces, which is the default."),
        click.option("-l", "--selector", metavar="LABELS", help="Only with these labels: app=cart,env!=dev."),
        click.option("--source", metavar="NAME", multiple=True, help="Only what these collectors report, such as k8s."),
        click.option("--level", metavar="LEVEL", multiple=True, help="Only healthy, warning, critical or unknown."),
    ]
    if kind:
        help_ = "Only these kinds: pod,deploy."
        found.insert(
            0, click.option("--kind", metavar="KIND", multiple=True, help=help_, shell_complete=complete_kinds)
        )
    if at:
        found.append(click.option("--at", metavar="TIME", help="As it was: RFC 3339, or how long ago (-10m)."))
    return found


def _query(
    target: Target,
    *,
    namespace: tuple[str, ...] | None,
    all_namespaces: bool | None,
    selector: str | None,
    source: tuple[str, ...] | None,
    level: tuple[str, ...] | None,
    kind: tuple[str, ...] | None,
    at: str | None,
) -> Query:
    if namespace and all_namespaces:
        raise click.UsageError("expected --namespace or --all-namespaces, found both")
    now = SystemClock().now()
    try:
        selection = select(
            cluster=target.cluster,
            kind=kinds_of(",".join(kind or ())),
            namespace=_listed(namespace),
            source=_listed(source),
            label=selector,
            level=_listed(level),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return Query(selection, now, at=past_time(at, now))


def spelled(words: Iterable[str]) -> str:
    """One name out of the words of a command line: `pod cart` and `pod/cart` are the same."""
    return "/".join(words)


def require_watchable(query: Query, output: str) -> None:
    """Refuse what cannot be followed.

    Raises:
        UsageError: a past time, or a format that is one document.
    """
    if query.at is not None:
        raise click.UsageError("expected --watch or --at, found both")
    if output == "yaml":
        raise click.UsageError("expected --watch with -o json, which is one object a line, found -o yaml")


def past_time(text: str | None, now: datetime, flag: str = "--at") -> datetime | None:
    """The time that a flag names; None without one."""
    try:
        return moment(text, now) if text is not None else None
    except ValueError as error:
        raise click.UsageError(f"{flag}: {error}") from None


def _listed(words: tuple[str, ...] | None) -> str | None:
    return ",".join(words) if words else None


async def read(bus: Bus, query: Query, *, signals: Iterable[str] = STATE) -> Fold:
    """The entities, as they are or were; what is not known of a past time is noted on stderr."""
    fold, _ = await read_known(bus, query, signals=signals)
    return fold


async def read_known(bus: Bus, query: Query, *, signals: Iterable[str] = STATE) -> tuple[Fold, list[str]]:
    """The same, and the subjects of which the message of a past time is not known."""
    if query.at is None:
        return await snapshot(bus, query.selection, signals=signals), []
    past = await state_at(bus, query.selection, query.at, signals=signals)
    _note_unknown(past)
    return past.fold, past.lost


async def read_structure(bus: Bus, query: Query) -> list[EntityView]:
    """The entities as `listed` gives them, with their connections, but without health and alerts: half the cost.

    Only a selection by level needs these as well.
    """
    return listed(await read(bus, query, signals=STATE if query.selection.levels else ("topology",)))


def listed(fold: Fold) -> list[EntityView]:
    """The entities of a fold in the order of their names; those that cannot be decoded are left out, with a note."""
    found = []
    for view in fold.entities():
        if view.topology is None:
            note(f"left out {view.key}: {'; '.join(view.malformed.values()) or 'it has no topology message'}")
        else:
            found.append(view)
    return sorted(found, key=lambda each: each.ref)


async def find_one(bus: Bus, query: Query, text: str) -> EntityView | None:
    """The one entity that a person means, without health and alerts; None if no entity is published at all.

    Raises:
        NotFoundError: no entity, or more than one, is called that.
    """
    views = await read_structure(bus, query)
    if not views:
        await require_any(bus, query)
        return None
    ref = one(text, (view.ref for view in views))
    return next(view for view in views if view.ref == ref)


async def require_any(bus: Bus, query: Query, names: Iterable[str] = ()) -> None:
    """Raise the error that says why nothing matches, and what there is.

    Raises:
        NotFoundError: always, unless no entity is published at all and none was asked for in particular.
    """
    selection = Selection(clusters=query.selection.clusters)
    if query.at is None:
        views = listed(await snapshot(bus, selection, signals=("topology",)))
    else:
        past = await state_at(bus, selection, query.at, signals=("topology",))
        if past.unknown:  # `read` has noted it
            return
        views = listed(past.fold)
    if not views and query.at is not None:
        raise NotFoundError(f"no entity was published at {rfc3339(query.at)}; see those of now with `kgents get all`")
    if not views:
        if str(query.selection):
            raise NotFoundError(f"no entity matches {query.selection}; none is published yet")
        note("no entity is published yet; see which collectors report with `kgents doctor`")
        return
    raise NotFoundError(explained(query.selection, views))


def explained(selection: Selection, there: Iterable[EntityView]) -> str:
    """Why a selection takes none of the entities that are there: the words that fit none of them, and what does."""
    views = list(there)
    fields: dict[str, tuple[tuple[str, ...], set[str]]] = {
        "kinds": (selection.kinds, {each.ref.kind for each in views}),
        "namespaces": (selection.namespaces, {each.ref.namespace for each in views} - {""}),
        "sources": (selection.sources, {source for each in views for source in each.sources}),
        "names": (selection.names, {each.ref.name for each in views if _fits(selection.kinds, each.ref.kind)}),
    }
    for what, (words, known) in fields.items():
        unknown = [word for word in words if word not in known and not {"*", "?"} & set(word)]
        if unknown:
            return f"no entity matches {selection}; {did_you_mean(unknown[0], known, noun=f'{what} here')}"
    return f"no entity matches {selection}; see all with `kgents get all`"


def _fits(words: tuple[str, ...], word: str) -> bool:
    return not words or word in words


def _note_unknown(past: Past) -> None:
    time = rfc3339(past.time)
    if past.unknown:
        begins = rfc3339(max(past.begins[signal] for signal in past.unknown))
        created = "its stream was" if len(past.unknown) == 1 else "their streams were"
        note(f"{', '.join(past.unknown)}: nothing is known before {begins}, when {created} created")
    note_archived(past.archived)
    for remark in past.remarks:
        note(remark)
    for signal, forgotten in past.forgotten.items():
        if forgotten and signal not in past.unknown:
            entities = "1 entity" if len(forgotten) == 1 else f"{len(forgotten)} entities"
            note(
                f"{signal}: {entities} changed too often since {time} for that state to be kept, such as {forgotten[0]}"
            )


def note_archived(signals: Iterable[str]) -> None:
    """Say on stderr what of an answer is from the archive; nothing if the streams alone gave it."""
    if named := ", ".join(sorted({*signals})):
        note(f"from the archive: {named}")
