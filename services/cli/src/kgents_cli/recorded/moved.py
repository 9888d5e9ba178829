"""A message of a recording → the same as if it happened at another time, in another cluster. Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import structs

from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, EVENT, META, PULSE
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.meta import HEARTBEAT_TTL_S, Heartbeat
from kgents_shared.contract.recording import Row
from kgents_shared.contract.streams import REMOVAL_TTL_S
from kgents_shared.contract.vocabulary.attributes import any_entity
from kgents_shared.contract.wire import REMOVE, Wire

_CODECS: Final = {"entity": ENTITY, "pulse": PULSE, "event": EVENT, "meta": META}


class Moved:
    """Moves messages in time, and into other clusters."""

    def __init__(self, time: Callable[[datetime], datetime], cluster: Callable[[str], str], file: str = "") -> None:
        """`time` and `cluster` give what takes the place of each; with a `file`, entities say so."""
        self._time = time
        self._cluster = cluster
        self._file = file
        self._beats: dict[str, Heartbeat] = {}

    def message(self, row: Row) -> tuple[str, Wire, float | None] | None:
        """Subject, message, and after how many seconds it expires; None for what is not replayed.

        Of the services' own reports only those of collectors: what makes topology and health of these reports itself.
        """
        message = self._read(row)
        if message is None or (row.signal == "meta" and not (isinstance(message, Heartbeat) and message.source)):
            return None
        moved: Any = self._moved(message)
        subject = self._subject(row.subject)
        if isinstance(moved, Entity):
            attributes = {name: each for name, each in moved.attributes.items() if name != any_entity.REPLAYED_FROM}
            if self._file:
                attributes[any_entity.REPLAYED_FROM] = self._file
            return subject, structs.replace(moved, attributes=attributes), REMOVAL_TTL_S if moved.is_removal else None
        if isinstance(moved, Heartbeat):
            self._beats[subject] = moved
            return subject, moved, HEARTBEAT_TTL_S
        return subject, moved, None

    def is_unreadable(self, row: Row) -> bool:
        """Whether this version cannot read a message."""
        return self._read(row) is None

    def last_beats(self) -> dict[str, Heartbeat]:
        """The last report of each collector, as one that has stopped."""
        return {subject: structs.replace(beat, state="stopped") for subject, beat in self._beats.items()}

    def _read(self, row: Row) -> Wire | None:
        try:
            codec: Any = _CODECS[row.signal]
            return codec.decode(row.body, subject=row.subject)  # type: ignore[no-any-return]
        except (KeyError, MalformedMessageError):
            return None

    def _subject(self, subject: str) -> str:
        root, signal, cluster, *rest = subject.split(".")
        return ".".join((root, signal, subjects.escape(self._cluster(subjects.unescape(cluster))), *rest))

    def _moved(self, value: Any) -> Any:
        """The value with all its times, and the clusters of all its refs."""
        match value:
            case datetime():
                return self._time(value)
            case Ref():
                return structs.replace(value, cluster=self._cluster(value.cluster))
            case msgspec.Struct():
                fields = {name: getattr(value, name) for name in value.__struct_fields__}
                return structs.replace(value, **{name: self._moved(each) for name, each in fields.items()})
            case list():
                return [self._moved(each) for each in value]
            case dict():
                return {name: self._moved(each) for name, each in value.items()}
            case _:
                return value


def removal_of(entity: Entity) -> Entity:
    """Its removal."""
    text = f"{entity.ref} is gone (the replay is over)"
    return Entity(text=text, ref=entity.ref, source=entity.source, op=REMOVE, uid=entity.uid, reason="replay over")
