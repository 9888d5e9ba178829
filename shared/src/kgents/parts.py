"""A change of a joined entity → the changes of what a stream is about: its topology, health, alerts, or all. Pure.

A stream with a filter by label or level reads more signals than it gives. What it gives is found by comparing its own
part of the entity before and after.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

import msgspec

from kgents_shared.contract import codec
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import Codec
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.health import Health
from kgents_shared.contract.subjects import escape
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.wire import Wire
from kgents_shared.view.entity import STATE, EntityView, key_of
from kgents_shared.view.fold import EntityChange
from kgents_shared.view.selection import Selection

T = TypeVar("T")
W = TypeVar("W", bound=Wire)

_NS_PER_S: Final = 1_000_000_000


class Change(msgspec.Struct, Generic[T], frozen=True):
    """One change of one entity, or of one alert."""

    op: str
    """`added`, `changed` or `removed`; `unselected` if it is still there and no longer what the filters ask for."""
    ref: Ref
    """Its name."""
    old: T | None
    """Before the change; None if it was not there, not selected, or is not known any more."""
    new: T | None
    """After the change; None if it is removed or unselected."""
    text: str
    """One plain sentence."""
    at: datetime | None = None
    """When it was stored, UTC; None in a snapshot, and if the change was found by comparison."""
    origin: str = "live"
    """`snapshot`: it was there when the stream began; `live`: it happened since, or while this program was away;
    `reset`: found by comparison after the NATS stream was made again or the program was away for more than seven days,
    so that changes before it may have been missed."""


class Part(Generic[T]):
    """What a stream is about."""

    def __init__(
        self,
        name: str,
        needs: tuple[str, ...],
        pieces: Callable[[EntityView], Mapping[str, Any]],
        read: Callable[[Any], T],
        text: Callable[[T, EntityChange], str],
    ) -> None:
        """Say how to read it off an entity.

        Args:
            name: in position files.
            needs: the signals that it consists of.
            pieces: an entity's own, undecoded and comparable; of alerts one by check.
            read: decodes a piece.
            text: the sentence of a value that a change has led to.
        """
        self.name: Final = name
        self._needs = needs
        self._pieces = pieces
        self._read = read
        self._text = text

    def signals(self, selection: Selection) -> tuple[str, ...]:
        """The signals to read. The topology decides whether an entity is there, if it is read at all."""
        found = dict.fromkeys((*self._needs, *selection.signals))
        return ("topology", *(each for each in found if each != "topology")) if "topology" in found else tuple(found)

    def values(self, view: EntityView) -> list[T]:
        """What an entity has of it; what cannot be decoded is left out."""
        found = (self._decoded(piece) for piece in self._pieces(view).values())
        return [each for each in found if each is not None]

    def changes(self, change: EntityChange, origin: str) -> Iterator[Change[T]]:
        """The changes of it that a change of the entity consists of, mostly one or none.

        Raises:
            MalformedMessageError: a message cannot be decoded.
        """
        old = self._pieces(change.before) if change.before is not None else {}
        new = self._pieces(change.after) if change.after is not None else {}
        at = datetime.fromtimestamp(change.time_ns / _NS_PER_S, UTC) if change.time_ns else None
        if change.after is None and change.before is not None and change.before.rows.is_empty:
            yield Change("removed", change.before.ref, None, None, f"{change.before.ref} is gone", at, origin)
        for key in {**new, **old}:
            if old.get(key) != new.get(key):
                yield self._change(change, old.get(key), new.get(key), at, origin)

    def _change(self, change: EntityChange, old: object, new: object, at: datetime | None, origin: str) -> Change[T]:
        view = change.after or change.before
        ref = view.ref if view is not None else Ref("", "", "")
        before = self._decoded(old) if old is not None else None
        if new is not None:
            after = self._read(new)
            return Change(
                "added" if old is None else "changed", ref, before, after, self._text(after, change), at, origin
            )
        if change.after is None and not change.is_gone:
            return Change("unselected", ref, before, None, f"{ref} is no longer selected", at, origin)
        text = msgspec.json.decode(change.removal, type=_Text).text if change.removal is not None else ""
        return Change("removed", ref, before, None, text or f"{ref} is gone", at, origin)

    def _decoded(self, piece: object) -> T | None:
        try:
            return self._read(piece)
        except MalformedMessageError:
            return None


class _Text(msgspec.Struct):
    text: str = ""


def _message(of: Codec[W], pieces: Callable[[EntityView], Mapping[str, bytes]], text: Callable[[W], str]) -> Part[W]:
    """The part that is one signal's messages."""
    return Part(of.signal, (of.signal,), pieces, of.decode, lambda value, _: text(value))


def _topology(view: EntityView) -> Mapping[str, bytes]:
    return {"": view.rows.topology} if view.rows.topology is not None else {}


def _health(view: EntityView) -> Mapping[str, bytes]:
    return {"": view.rows.health} if view.rows.health is not None else {}


def _entity_text(view: EntityView, change: EntityChange) -> str:
    """The sentence of the message that changed it."""
    message: TopologyEntity | Health | Alert | None = view.topology
    if change.signal == "health":
        message = view.health
    elif change.signal == "alert":
        check = key_of(change.subject)[2]
        message = next((each for each in view.alerts if escape(each.check) == check), None)
    return message.text if message is not None else view.text


TOPOLOGY: Final = _message(codec.TOPOLOGY, _topology, lambda each: each.text)
HEALTH: Final = _message(codec.HEALTH, _health, lambda each: each.text)
ALERTS: Final = _message(codec.ALERT, lambda view: view.rows.alerts or {}, lambda each: each.text)
ENTITIES: Final = Part[EntityView]("entity", STATE, lambda view: {"": view}, lambda view: view, _entity_text)
