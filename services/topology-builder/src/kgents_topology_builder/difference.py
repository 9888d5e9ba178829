"""What changed between two versions of one entity, as data and as a sentence: (old, new) → `changed`, `text`. Pure."""

from collections.abc import Mapping
from datetime import datetime
from itertools import accumulate, takewhile
from typing import Final

import msgspec

from kgents_shared.contract.entity import Traffic, Value
from kgents_shared.contract.fitting import note_of
from kgents_shared.contract.sentence import of_source
from kgents_shared.contract.topology import Difference, ResolvedConnection, TopologyEntity
from kgents_shared.contract.vocabulary.kinds import SOURCE

LISTED_MAX: Final = 32
"""Differences listed in one message; `changed_count` counts all."""
VALUE_CHARS: Final = 500
"""Of an old or new value in a difference: a change that repeats a large one twice is larger than what a source sent."""
TRAFFIC_TOLERANCE_RATIO: Final = 0.2
"""Rates within a fifth of the *published* value are the same: slow drift is published in the end, and noise never."""
TRAFFIC_FLOOR: Final = {
    "requests_per_sec": 1.0,
    "bytes_per_sec": 1024.0,
    "error_rate": 0.01,
    "calls_per_request": 0.2,
    "latency_ms": 1.0,
    "latency_p95_ms": 1.0,
    "latency_p99_ms": 1.0,
    "gap_ms": 1.0,
}
"""Below this, a change of that size is noise whatever its ratio."""

_REST: Final = (
    *("uid", "created_at", "unread_entities"),
    *("stale", "sources", "expiring", "addresses", "aliases", "cut"),
)
_TEXTS: Final = ("parts", "labels", "annotations")


def same(published: TopologyEntity, wanted: TopologyEntity) -> bool:
    """Whether a subscriber would learn nothing new. Compared with what was published, not with what was seen last."""
    return (
        published.status == wanted.status
        and published.reason == wanted.reason
        and _same_rest(published, wanted)
        and published.unread == wanted.unread
        and _same_texts(published, wanted)
        and _same_values(published.attributes, wanted.attributes)
        and _same_connections(published.connections, wanted.connections)
    )


def _same_rest(old: TopologyEntity, new: TopologyEntity) -> bool:
    """Whether the fields of _REST are the same."""
    return (  # spelled out: this is asked for every entity, and loops over field names cost four times as much
        old.uid == new.uid
        and old.created_at == new.created_at
        and old.unread_entities == new.unread_entities
        and old.stale == new.stale
        and old.sources == new.sources
        and old.expiring == new.expiring
        and old.addresses == new.addresses
        and old.aliases == new.aliases
        and old.cut == new.cut
    )


def _same_texts(old: TopologyEntity, new: TopologyEntity) -> bool:
    return old.parts == new.parts and old.labels == new.labels and old.annotations == new.annotations


def describe(old: TopologyEntity | None, new: TopologyEntity) -> TopologyEntity:
    """The message that replaces `old` on the stream: `new` with its sentence and its differences."""
    if new.is_removal:
        return msgspec.structs.replace(new, text=f"{new.ref} is gone ({new.reason or 'deleted'})")
    if old is None:
        text = of_source(new) if new.ref.kind == SOURCE else f"{new.ref} appeared: {_condition(new)}"
        return msgspec.structs.replace(new, text=text + note_of(new.cut))
    changed = differences(old, new)
    return msgspec.structs.replace(
        new,
        text=_sentence(old, new, changed) + note_of(new.cut),
        changed=list(map(_capped, changed[:LISTED_MAX] if len(changed) > LISTED_MAX else changed)),
        changed_count=len(changed),
    )


def differences(old: TopologyEntity, new: TopologyEntity) -> list[Difference]:
    """Every field that differs, the most important first."""
    found: list[Difference] = []
    if old.status != new.status:
        found.append(Difference("status", old.status, new.status))
    if old.reason != new.reason:
        found.append(Difference("reason", old.reason, new.reason))
    if not _same_rest(old, new):
        rest = ((field, getattr(old, field), getattr(new, field)) for field in _REST)
        found += [Difference(field, _plain(before), _plain(after)) for field, before, after in rest if before != after]
    if old.unread != new.unread:
        found.append(Difference("unread", list(map(str, old.unread)), list(map(str, new.unread))))
    for field in () if _same_texts(old, new) else _TEXTS:
        found += _mapping_differences(field, getattr(old, field), getattr(new, field))
    if old.attributes is not new.attributes:
        found += _mapping_differences("attributes", old.attributes, new.attributes)
    if not _same_connections(old.connections, new.connections):
        found += _connection_differences(old.connections, new.connections)
    return found


def _capped(difference: Difference) -> Difference:
    """With at most the beginning of both values: the whole new one is in the message, the old one before it."""
    old, new = _beginning(difference.old), _beginning(difference.new)
    if old is difference.old and new is difference.new and len(difference.field) <= VALUE_CHARS:
        return difference
    return Difference(field=difference.field[:VALUE_CHARS], old=old, new=new, is_cut=True)


def _beginning(value: Value) -> Value:
    if isinstance(value, str) and len(value) > VALUE_CHARS:
        return f"{value[: VALUE_CHARS - 1]}…"
    if isinstance(value, list) and sum(map(len, value)) + len(value) > VALUE_CHARS:
        kept = list(takewhile(lambda total: total <= VALUE_CHARS, accumulate(len(each) + 1 for each in value)))
        return [*value[: len(kept)], f"… {len(value) - len(kept)} more"]
    return value


def _plain(value: list[str] | datetime | str | int | None) -> Value:
    return str(value) if isinstance(value, datetime) else value


def _same_values(old: Mapping[str, Value], new: Mapping[str, Value]) -> bool:
    """Whether equal values are also of equal types: to Python, `True == 1 == 1.0`. One that is null is absent."""
    if old != new:
        if None not in old.values() and None not in new.values():
            return False
        old, new = _known(old), _known(new)
    return old == new and (not old or list(map(type, map(old.get, new))) == list(map(type, new.values())))


def _known(values: Mapping[str, Value]) -> Mapping[str, Value]:
    return {name: value for name, value in values.items() if value is not None}


def _mapping_differences(field: str, old: Mapping[str, Value], new: Mapping[str, Value]) -> list[Difference]:
    """What differs between two mappings, also in type alone; a value that is null is absent."""
    keys: list[str] = []
    for key, after in new.items():
        before = old.get(key)
        if before is not after and (before != after or type(before) is not type(after)):
            keys.append(key)
    if old.keys() != new.keys():
        keys += [key for key in old.keys() - new.keys() if old[key] is not None]
    return [Difference(f"{field}.{key}", old.get(key), new.get(key)) for key in sorted(keys)]


def _connection_differences(old: list[ResolvedConnection], new: list[ResolvedConnection]) -> list[Difference]:
    found: list[Difference] = []
    before = {_path(connection): connection for connection in old}
    after = {_path(connection): connection for connection in new}
    for path in sorted(before.keys() | after.keys()):
        was, is_ = before.get(path), after.get(path)
        if was is None or is_ is None:
            found.append(Difference(field=path, old=_presence(was), new=_presence(is_)))
        elif not _same_connection(was, is_):
            found.append(Difference(field=path, old=_details(was), new=_details(is_)))
    return found


def _path(connection: ResolvedConnection) -> str:
    arrow = "→" if connection.direction == "out" else "←"
    return f"connections.{connection.kind} {arrow} {connection.peer}"


def _presence(connection: ResolvedConnection | None) -> Value:
    return None if connection is None else "connected"


def _details(connection: ResolvedConnection) -> Value:
    return msgspec.json.encode([connection.attributes, connection.traffic]).decode()


def _same_connections(old: list[ResolvedConnection], new: list[ResolvedConnection]) -> bool:
    if old is new:
        return True
    if old == new:  # nearly always, and mostly without attributes: a hub has tens of thousands of them
        return all(_same_values(was.attributes, is_.attributes) for was, is_ in zip(old, new, strict=True))
    return len(old) == len(new) and all(map(_same_connection, old, new))


def _same_connection(old: ResolvedConnection, new: ResolvedConnection) -> bool:
    return (
        (old.kind, old.peer, old.direction) == (new.kind, new.peer, new.direction)
        and _same_values(old.attributes, new.attributes)
        and old.evidence == new.evidence
        and old.source == new.source
        and _same_traffic(old.traffic, new.traffic)
    )


def _same_traffic(old: Traffic | None, new: Traffic | None) -> bool:
    if old is None or new is None:
        return old is new
    return all(_close(getattr(old, field), getattr(new, field), floor) for field, floor in TRAFFIC_FLOOR.items())


def _close(old: float | None, new: float | None, floor: float) -> bool:
    if old is None or new is None:
        return old is new
    return abs(old - new) <= max(floor, TRAFFIC_TOLERANCE_RATIO * abs(old))


def _condition(entity: TopologyEntity) -> str:
    return f"{entity.status} ({_beginning(entity.reason)})" if entity.reason else entity.status


def _sentence(old: TopologyEntity, new: TopologyEntity, changed: list[Difference]) -> str:
    if new.ref.kind == SOURCE:
        return of_source(new)
    if (old.status, old.reason) != (new.status, new.reason):
        return f"{new.ref} is {_condition(new)}, was {_condition(old)}"
    fields = ", ".join(difference.field[:VALUE_CHARS] for difference in changed[:3])
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f"{new.ref} ({new.status}) changed: {fields}{more}"
