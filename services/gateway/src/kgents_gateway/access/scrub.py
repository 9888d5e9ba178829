"""An entity, and what it says of entities outside a scope → the same without their names. Pure.

Its connections with them are left out; where a sentence or an attribute names them, `(hidden)` stands instead.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from kgents_shared.contract import codec
from kgents_shared.contract.entity import STAND_INS, Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.pulse import Pulse, TrafficPulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary.kinds import KINDS
from kgents_shared.view.entity import EntityView, Rows

HIDDEN: Final = "(hidden)"
_WORDS: Final = frozenset(
    {
        "text",
        "title",
        "why",
        "note",
        "message",
        "value",
        "threshold",
        "attributes",
        "annotations",
        "addresses",
        "aliases",
    }
)
"""Fields that hold sentences and facts. All others are names of the vocabulary, or of the entity itself."""

_EDGE: Final = b'"edge"'

Takes = Callable[[Ref], bool]
Replace = Callable[[str], str]


def scrubbed(view: EntityView, takes: Takes) -> EntityView:
    """An entity as it is shown to who may read what `takes` takes."""
    return _in_scope(view, view.topology, hidden_peers([view.topology], takes), takes)


def scrubbed_event(event: Event, view: EntityView | None, takes: Takes) -> Event:
    """An event about an entity. One that is gone, and so has no connections by which names are known, says less."""
    if view is None or view.topology is None:
        return msgspec.structs.replace(event, text=f"{event.ref}: {event.reason}", message="")
    replace = replacing(event.ref, view.topology, hidden_peers([view.topology], takes), takes)
    if replace is None:
        return event
    return msgspec.structs.replace(event, text=replace(event.text), message=replace(event.message))


def scrubbed_versions(ref: Ref, views: Iterable[EntityView], now: EntityView | None, takes: Takes) -> list[EntityView]:
    """Versions of one entity, each of one message. A name that one of them, or `now`, shows to be hidden is in all."""
    versions = list(views)
    known = [each.topology for each in (*versions, *([now] if now is not None else []))]
    newest = next((each for each in reversed(known) if each is not None), None)
    hidden = hidden_peers(known, takes)
    return [_in_scope(EntityView(view.key, view.rows), newest, hidden, takes) for view in versions]


def scrubbed_pulse(pulse: Pulse, view: EntityView | None, takes: Takes) -> Pulse:
    """A pulse of an entity: its figures, and only what it calls that may be seen."""
    edges = pulse.edges if isinstance(pulse, TrafficPulse) else []
    if not pulse.text and not edges:
        return pulse
    topology = view.topology if view is not None else None
    called = {each.peer for each in edges if isinstance(each.peer, Ref) and not takes(each.peer)}
    hidden = hidden_peers([topology], takes) | called
    replace = _silent if topology is None else replacing(pulse.ref, topology, hidden, takes)
    if replace is not None and pulse.text:
        pulse = msgspec.structs.replace(pulse, text=replace(pulse.text))
    if isinstance(pulse, TrafficPulse):  # a peer without a ref is an address, of which it is not known whose it is
        shown = [each for each in edges if (takes(each.peer) if isinstance(each.peer, Ref) else each.peer in STAND_INS)]
        return msgspec.structs.replace(pulse, edges=shown)
    return pulse


def _in_scope(view: EntityView, topology: TopologyEntity | None, hidden: set[Ref], takes: Takes) -> EntityView:
    """Messages of an entity, given what it is; if that is not known, its sentences say nothing."""
    rows = view.rows
    if topology is None and view.health is not None and view.health.aggregate is not None:
        return view  # of all its cluster, which is not in the topology and names no one else
    said = [each for each in (rows.health, *(rows.alerts or {}).values()) if each is not None]
    hidden = hidden | {
        each for payload in said for each in _peers(payload) if isinstance(each, Ref) and not takes(each)
    }
    replace = _silent if topology is None else replacing(view.ref, topology, hidden, takes)

    def is_shown(peer: Ref | str) -> bool:
        if topology is None:
            return False
        return takes(peer) if isinstance(peer, Ref) else replace is None or replace(peer) == peer

    def shown(payload: bytes) -> bytes:
        payload = _without_edges(payload, is_shown)
        return payload if replace is None else in_words(payload, replace)

    own = _encoded(view.topology, takes) if view.topology is not None else None
    if own is not None and replace is not None:
        own = in_words(own, replace)
    health = shown(rows.health) if rows.health is not None else None
    return EntityView(
        view.key, Rows(own, health, {check: shown(each) for check, each in (rows.alerts or {}).items()} or None)
    )


def _silent(_: str) -> str:
    return HIDDEN


def _peers(payload: bytes) -> list[Ref | str]:
    """What a health or an alert names as the peer of a connection."""
    if _EDGE not in payload:
        return []
    return [_peer(each["edge"]) for each in _findings(msgspec.json.decode(payload)) if each.get("edge")]


def _without_edges(payload: bytes, is_shown: Callable[[Ref | str], bool]) -> bytes:
    if _EDGE not in payload:
        return payload
    message = msgspec.json.decode(payload)
    for each in _findings(message):
        if each.get("edge") and not is_shown(_peer(each["edge"])):
            del each["edge"]
    return msgspec.json.encode(message)


def _findings(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [message, *message.get("reasons", ())]


def _peer(edge: dict[str, Any]) -> Ref | str:
    return msgspec.convert(edge["peer"], Ref | str)


def hidden_peers(versions: Iterable[TopologyEntity | None], takes: Takes) -> set[Ref]:
    """What an entity is connected with and who reads it may not see."""
    connections = (connection for each in versions if each is not None for connection in each.connections)
    return {each.peer for each in connections if not takes(each.peer)}


def in_words(payload: bytes, replace: Replace) -> bytes:
    """A message with its sentences and facts replaced."""
    return msgspec.json.encode(_walked(msgspec.json.decode(payload), replace, is_words=False))


def _encoded(topology: TopologyEntity, takes: Takes) -> bytes:
    """Without the connections outside, and without what changed, in which names stand that are no longer connected."""
    shown = [each for each in topology.connections if takes(each.peer)]
    text = f"{topology.ref} is {topology.status}{f' ({topology.reason})' if topology.reason else ''}"
    return codec.encode(msgspec.structs.replace(topology, text=text, connections=shown, changed=[], changed_count=0))


def replacing(ref: Ref, topology: TopologyEntity | None, hidden: set[Ref], takes: Takes) -> Replace | None:
    """What leaves out the names that are hidden, and not known from the entity itself; None: there are none."""
    shown = [ref, *(each.peer for each in (topology.connections if topology is not None else ()) if takes(each.peer))]
    known = {word for each in shown for word in (each.cluster, each.namespace, each.name)} | KINDS.keys() | {""}
    names = {word for each in hidden for word in (each.cluster, each.namespace, each.name)} - known
    if not names:
        return None
    listed = "|".join(re.escape(each) for each in sorted(names, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w-])(?:{listed})(?![\w-])")
    return lambda text: pattern.sub(HIDDEN, text)


def _walked(value: Any, replace: Replace, *, is_words: bool) -> Any:
    match value:
        case str():
            return replace(value) if is_words else value
        case dict():
            return {key: _walked(each, replace, is_words=is_words or key in _WORDS) for key, each in value.items()}
        case list():
            return [_walked(each, replace, is_words=is_words) for each in value]
        case _:
            return value
