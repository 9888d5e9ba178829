"""Changes before a moment, a graph, what was unwell → the changes, the most suspicious first, with reasons. Pure.

A hint, by three facts that a person would ask for first: what sort of change it was, how near in the graph of
connections to what became unwell, how shortly before. It proves nothing.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from kgents_cli.availability.spans import US_PER_S, moment_of
from kgents_cli.availability.text import lasting
from kgents_cli.changes import sort_of
from kgents_cli.units import plain
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import Difference, TopologyEntity
from kgents_shared.contract.vocabulary import edges
from kgents_shared.view.find import path_of
from kgents_shared.view.paths import Graph

_WEIGHTS: Final = {
    "image": 1.0, "configuration": 0.9, "node": 0.8, "scaling": 0.7, "connection": 0.5, "removed": 0.5, "restart": 0.4,
    "appeared": 0.3, "status": 0.2, "first seen": 0.05,
}  # fmt: skip
"""Most incidents begin with what someone released or configured; a status is mostly what followed."""
_HALVED_S: Final = 600.0
"""After so many seconds a change is half as suspicious as at once."""
_UNCONNECTED: Final = 0.05
"""Of a change that no chain of connections leads from."""
_DETAILS_MAX: Final = 3
_WORDS: Final = {
    "image": "another image", "configuration": "another configuration", "scaling": "scaled", "restart": "restarted",
    "node": "another node, or the node itself changed", "connection": "connections changed", "status": "another status",
    "appeared": "appeared", "removed": "removed", "first seen": "first seen",
}  # fmt: skip


class Change(msgspec.Struct, frozen=True):
    """One message that says that an entity changed."""

    ref: Ref
    at: int
    """In microseconds since 1970."""
    sort: str
    """One of the sorts of `changes`, or `appeared`, `removed`, `first seen`."""
    fields: list[Difference] = []


class Candidate(msgspec.Struct, frozen=True):
    """Changes of one sort at one entity, or at several that one owner made."""

    score: float
    """1: it happened at once, to what became unwell itself, and is of the sort that most incidents begin with."""
    sort: str
    ref: Ref
    """The entity, or the owner of the entities."""
    entities: int
    at: datetime
    """Of the last one."""
    before_s: float
    distance: int | None
    """Connections to what became unwell; None: no chain of them leads there."""
    nearest: Ref | None
    text: str
    """What changed, in one sentence."""
    reasons: list[str]


def changes_of(at: int, message: TopologyEntity, since: datetime) -> list[Change]:
    """What one message says, by sort; a message without differences is an entity that appeared.

    One that was created before `since`, or of which that is not known, may only have been seen for the first time.
    """
    if not message.changed:
        is_new = message.created_at is not None and message.created_at >= since
        return [Change(message.ref, at, "appeared" if is_new else "first seen")] if not message.changed_count else []
    by_sort: dict[str, list[Difference]] = {}
    for each in message.changed:
        if not _follows(each) and (sort := sort_of(each.field)):
            by_sort.setdefault(sort, []).append(each)
    return [Change(message.ref, at, sort, fields) for sort, fields in by_sort.items()]


def _follows(field: Difference) -> bool:
    """Whether it says no more than that another entity came or went, or how much a connection is used."""
    is_connection = field.field.startswith("connections.")
    is_used = field.old is not None and field.new is not None
    return is_connection and (is_used or field.field.startswith(f"connections.{edges.OWNS} "))


def candidates(changes: Iterable[Change], graph: Graph, unwell: Collection[Ref], moment: int) -> list[Candidate]:
    """The changes until a moment, the most suspicious first.

    Args:
        changes: in any order.
        graph: the connections at that moment, and those of what was removed before it.
        unwell: what became unwell, the probable cause first.
        moment: when.
    """
    distances = _distances(graph, unwell)
    groups: dict[tuple[Ref, str], list[Change]] = {}
    for each in changes:
        if each.at <= moment:
            owners = graph.owners(each.ref)
            groups.setdefault((owners[-1] if owners else each.ref, each.sort), []).append(each)
    found = [_candidate(ref, sort, group, distances, moment) for (ref, sort), group in groups.items()]
    return sorted(found, key=lambda each: (-each.score, each.before_s, each.ref))


def _candidate(
    ref: Ref, sort: str, group: Sequence[Change], distances: Mapping[Ref, tuple[int, Ref]], moment: int
) -> Candidate:
    last = max(group, key=lambda each: each.at)
    near = [found for each in {ref, *(each.ref for each in group)} if (found := distances.get(each)) is not None]
    distance, nearest = min(near, default=(None, None))
    before_s = (moment - last.at) / US_PER_S
    nearness = 1 / (1 + distance) if distance is not None else _UNCONNECTED
    score = _WEIGHTS[sort] * nearness / (1 + before_s / _HALVED_S)
    return Candidate(
        round(score, 4),
        sort,
        ref,
        len({each.ref for each in group}),
        moment_of(last.at),
        before_s,
        distance,
        nearest,
        _sentence(ref, sort, group),
        [f"{lasting(before_s)} before", _place(ref, distance, nearest)],
    )


def _distances(graph: Graph, unwell: Collection[Ref]) -> dict[Ref, tuple[int, Ref]]:
    """Every entity that is connected with what was unwell → how far, and from which.

    What owns it is as near as itself: a release or a setting is made at the owner.
    """
    found = {ref: (0, ref) for ref in unwell}
    for ref in unwell:
        for owner in graph.owners(ref):
            found.setdefault(owner, (0, ref))
    waiting = deque(found)
    while waiting:
        here = waiting.popleft()
        distance, origin = found[here]
        for peer in graph.neighbours(here):
            if peer not in found:
                found[peer] = (distance + 1, origin)
                waiting.append(peer)
    return found


def _place(ref: Ref, distance: int | None, nearest: Ref | None) -> str:
    if distance is None or nearest is None:
        return "not connected with what became unwell"
    if distance == 0:
        return "it became unwell itself" if ref == nearest else f"{path_of(nearest)}, which it owns, became unwell"
    steps = "1 connection" if distance == 1 else f"{distance} connections"
    return f"{steps} from {path_of(nearest)}"


def _sentence(ref: Ref, sort: str, group: Sequence[Change]) -> str:
    others = {each.ref for each in group} - {ref}
    what = path_of(ref)
    if len(others) == 1 and ref not in {each.ref for each in group}:
        what = f"{path_of(next(iter(others)))} of {what}"
    elif others:
        kinds = Counter(each.kind for each in others)
        named = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in sorted(kinds.items()))
        what = f"{named} of {what}" if ref not in {each.ref for each in group} else f"{what} and {named} of it"
    details = dict.fromkeys(_detail(field) for each in group for field in each.fields)
    listed = "; ".join(list(details)[:_DETAILS_MAX])
    more = f"; and {len(details) - _DETAILS_MAX} more" if len(details) > _DETAILS_MAX else ""
    return f"{what}: {_WORDS[sort]}" + (f" ({listed}{more})" if listed else "")


def _detail(field: Difference) -> str:
    section, _, name = field.field.partition(".")
    words = {"labels": f"label {name}", "annotations": f"annotation {name}", "connections": name}
    named = words.get(section) or name.rpartition(".")[2].replace("_", " ") or section
    return f"{named}: {_value(field.old)} → {_value(field.new)}"


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else plain(value)
