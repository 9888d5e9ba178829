"""Among what is unwell at once, what most probably began it: findings and connections → roots, ranked. Pure.

What needs something unwell, or calls what its own findings name, blames it. What is blamed and blames nothing else is a
root, and explains all that blame it, directly or through others. Three rules decide where both ends of a call are
possible: slow calls on the way to several peers are the caller's, from several callers the peer's; what is starved of
CPU or memory, itself or in its pods, blames no call; and a part or a place (a pod, a node) is blamed regardless. Of a
single slow way the called end is named, and the text says that it may be the way, or the other end.

What is found of others lasts longer than what began it: a database that has connections again is well within seconds,
and calls are judged by the minute. So an origin that is well again goes on being blamed by what it explained.

It is a hint. It hides nothing, and changes no finding, level or alert.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from kgents_health_scorer.alerts import RESOLVED
from kgents_health_scorer.score import CRITICAL
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Edge, Reason, Root
from kgents_shared.contract.quantity import counted
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import edges

ROOTS_MAX: Final = 5
UNWELL_MAX: Final = 200
"""Of more, the worst are related to one another: then the hint is about these alone."""
CONNECTIONS_MAX: Final = 200
"""Of one entity that are followed."""
EXPLAINS_MAX: Final = 20
"""That are named; all are counted."""
SAYS_MAX: Final = 3

CALLS: Final = frozenset({edges.HTTP, edges.GRPC, edges.NATS, edges.NETWORK, edges.DEPENDS})
ON_THE_WAY: Final = frozenset({"KG-411", "KG-413"})
"""Checks that do not know which end of a connection is at fault."""
STARVED: Final = frozenset({"KG-101", "KG-102", "KG-111"})
"""Checks that explain by themselves why what it calls seems slow."""
OF_THE_CALLER: Final = frozenset({"KG-415", "KG-416"})
"""Checks that name a connection of which the caller is at fault."""

Find = Callable[[Ref], TopologyEntity | None]
Blames = Mapping[Ref, frozenset[Ref]]


class Unwell(Struct, frozen=True):
    """One entity that is not healthy."""

    entity: TopologyEntity
    severity: float
    reasons: list[Reason]
    edges: tuple[tuple[str, Edge], ...]
    """Check and connection, of everything that is found on a connection."""


def same_origin(before: Unwell | None, after: Unwell | None) -> bool:
    """Whether the roots are the same if this is all that has changed."""
    return _facts(before) == _facts(after)


def _facts(unwell: Unwell | None) -> object:
    if unwell is None:
        return None
    return unwell.entity.connections, unwell.severity >= CRITICAL, [each.check for each in unwell.reasons], unwell.edges


def roots(unwell: Mapping[Ref, Unwell], find: Find, recovered: Iterable[Root] = ()) -> list[Root]:
    """The most probable origins, that which explains most first.

    Args:
        unwell: all that is not healthy.
        find: the entity of a ref.
        recovered: origins as they were named, which have lately become well.
    """
    worst = dict(sorted(unwell.items(), key=lambda each: (-each[1].severity, each[0]))[:UNWELL_MAX])
    former = {each.ref: each for each in recovered if each.ref not in worst}
    named = {ref: [*_named(each, find)] for ref, each in worst.items()}
    blames = _blames(worst, named, find, former)
    blamed_by: dict[Ref, set[Ref]] = {}
    for ref, others in blames.items():
        for other in others:
            blamed_by.setdefault(other, set()).add(ref)
    candidates = [ref for ref in {*worst, *blamed_by} if not blames.get(ref)]
    open_: set[Ref] = set(worst)
    found: list[Root] = []
    explained = {ref: _reach(ref, blamed_by) for ref in candidates}
    while open_ and len(found) < ROOTS_MAX:
        # In a circle of blame nothing is a candidate: then it is the worst of those that are left.
        if not any(open_ & {ref, *explained[ref]} for ref in explained):
            explained = {ref: _reach(ref, blamed_by) for ref in open_}
        root = max(explained, key=lambda ref: (len(open_ & {ref, *explained[ref]}), *_rank(ref, worst)))
        covers = open_ & explained.pop(root)
        explains = sorted(covers - {root})
        before = former.get(root)
        found.append(_root(root, explains, worst, named) if before is None else _recovered(before, explains))
        open_ -= {root, *covers}
    return found


def _rank(ref: Ref, worst: Mapping[Ref, Unwell]) -> tuple[bool, str]:
    """By level alone, since a severity changes with every sample."""
    return ref in worst and worst[ref].severity >= CRITICAL, str(ref)


def _named(unwell: Unwell, find: Find) -> Iterator[tuple[str, Ref]]:
    """Check and peer of what an entity's own findings are about."""
    lasting = {(each.check, each.edge) for each in unwell.reasons if each.edge is not None}
    for check, edge in sorted({*unwell.edges, *lasting}, key=str):
        if check not in OF_THE_CALLER and (peer := _resolved(unwell.entity, edge, find)) is not None:
            yield check, peer


def _resolved(entity: TopologyEntity, edge: Edge, find: Find) -> Ref | None:
    """The entity at the other end; an address is one of those that the entity is connected to."""
    if isinstance(edge.peer, Ref):
        return edge.peer
    for each in entity.connections[:CONNECTIONS_MAX]:
        peer = find(each.peer) if each.kind == edge.kind else None
        if peer is not None and edge.peer in (*peer.addresses, *peer.aliases):
            return peer.ref
    return None


def _blames(
    worst: Mapping[Ref, Unwell], named: Mapping[Ref, list[tuple[str, Ref]]], find: Find, former: Mapping[Ref, Root]
) -> Blames:
    peers = {peer for pairs in named.values() for _, peer in pairs}
    parts, calls = _needed({*worst, *peers}, find)
    of_parts = {ref: {other for other in others if other in worst} for ref, others in parts.items()}
    starved = {ref for ref in {*worst, *peers} if _is_starved(ref, worst, of_parts)}
    ways_out = Counter(ref for ref, pairs in named.items() for _ in {p for check, p in pairs if check in ON_THE_WAY})
    ways_in = Counter(p for pairs in named.values() for p in {p for check, p in pairs if check in ON_THE_WAY})
    blames: dict[Ref, frozenset[Ref]] = {}
    for ref in {*worst, *peers}:
        blamed = set(of_parts.get(ref, ()))
        if ref not in starved:
            blamed |= {other for other in calls.get(ref, ()) if other in worst or _is_of(ref, former.get(other), worst)}
            for check, peer in named.get(ref, ()):
                is_own = check in ON_THE_WAY and ways_out[ref] > ways_in[peer]
                blamed |= set() if is_own else {peer}
        blames[ref] = frozenset(blamed - {ref})
    return blames


def _is_of(ref: Ref, former: Root | None, worst: Mapping[Ref, Unwell]) -> bool:
    """Whether an origin that is well again explained this one, or this is well and only named by what it explained."""
    return former is not None and (ref not in worst or ref in former.explains)


def _needed(refs: Iterable[Ref], find: Find) -> tuple[dict[Ref, set[Ref]], dict[Ref, set[Ref]]]:
    """What these need as a part or a place, and what they need by calling it."""
    parts: dict[Ref, set[Ref]] = {}
    calls: dict[Ref, set[Ref]] = {}
    for ref in refs:
        entity = find(ref)
        for each in entity.connections[:CONNECTIONS_MAX] if entity is not None else ():
            source, target = (ref, each.peer) if each.direction == "out" else (each.peer, ref)
            needing, needed = (target, source) if edges.needed_by_target(each.kind, source.kind) else (source, target)
            (calls if each.kind in CALLS else parts).setdefault(needing, set()).add(needed)
    return parts, calls


def _is_starved(ref: Ref, worst: Mapping[Ref, Unwell], of_parts: Mapping[Ref, set[Ref]]) -> bool:
    """Whether it, or what it consists of, has too little CPU or memory."""
    return any(
        any(reason.check in STARVED for reason in worst[each].reasons)
        for each in {ref, *_reach(ref, of_parts)}
        if each in worst
    )


def _reach(ref: Ref, links: Mapping[Ref, Iterable[Ref]]) -> frozenset[Ref]:
    """All that these links lead to, directly or through others."""
    found: set[Ref] = set()
    rest = [ref]
    while rest:
        new = [each for each in links.get(rest.pop(), ()) if each not in found]
        found.update(new)
        rest.extend(new)
    return frozenset(found)


def _root(
    ref: Ref, explains: list[Ref], worst: Mapping[Ref, Unwell], named: Mapping[Ref, list[tuple[str, Ref]]]
) -> Root:
    own = [reason.text for reason in worst[ref].reasons] if ref in worst else []
    naming = [caller for caller in explains if any(peer == ref for _, peer in named.get(caller, ()))]
    theirs = [reason.text for caller in naming for reason in worst[caller].reasons if _is_about(reason, ref)]
    origin = (
        f"the way from {naming[0]} to {ref}, or one of its ends," if _is_one_way(ref, naming, worst, named) else ref
    )
    text = f"{origin} probably explains {_listed(explains)}." if explains else f"{ref} explains itself alone."
    if naming:
        text = f"{text.removesuffix('.')}: {counted(len(naming), 'caller')} of it, by name."
    reasons = [*own[:SAYS_MAX], *theirs[:SAYS_MAX]]
    return Root(ref, text, reasons, explains[:EXPLAINS_MAX], len(explains))


def _is_one_way(
    ref: Ref, naming: list[Ref], worst: Mapping[Ref, Unwell], named: Mapping[Ref, list[tuple[str, Ref]]]
) -> bool:
    """Whether it is blamed for a single slow way alone, of which either end may be the cause."""
    if ref in worst or len(naming) != 1:
        return False
    return all(check in ON_THE_WAY for check, peer in named[naming[0]] if peer == ref)


def _recovered(before: Root, explains: list[Ref]) -> Root:
    """An origin that is well again, beside what has not recovered yet."""
    text = f"{before.ref}, healthy again, probably explains {_listed(explains)}."
    reasons = [each if each.startswith(RESOLVED) else f"{RESOLVED}{each}" for each in before.reasons]
    return Root(before.ref, text, reasons, explains[:EXPLAINS_MAX], len(explains))


def _listed(refs: list[Ref]) -> str:
    more = f" and {len(refs) - SAYS_MAX} more" if len(refs) > SAYS_MAX else ""
    return f"{', '.join(map(str, refs[:SAYS_MAX]))}{more}"


def _is_about(reason: Reason, ref: Ref) -> bool:
    return reason.edge is not None and (reason.edge.peer == ref or isinstance(reason.edge.peer, str))
