"""Bytes ↔ messages, with one place for what is malformed. The only module that knows the wire is JSON."""

import re
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Final, Generic, TypeVar

import msgspec

from kgents_shared.contract import meta, subjects
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.audit import AuditRecord
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.errors import MalformedMessageError, UnknownTypeError
from kgents_shared.contract.event import Event
from kgents_shared.contract.health import Health
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.meta import DeadLetter, Heartbeat, Lease, Meta
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.silence import Silence
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.wire import REMOVE, Wire

T = TypeVar("T", bound=Wire)

_ENCODER = msgspec.json.Encoder(order="deterministic")
_TEXT_BYTES: Final = len(b',"text":')


_MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises; the last for a document nested too deeply, which any client can send."""
_UNKNOWN_TYPE: Final = re.compile(r"^Invalid value '.*' - at `\$\.type`$", re.DOTALL)
"""What decoding says of a tag that no Struct of the union has."""


class _Op(msgspec.Struct, gc=False):
    op: str = "upsert"


_OP_DECODER = msgspec.json.Decoder(_Op)


def encode(message: Wire) -> bytes:
    """The message as JSON, its `text` first. Equal messages give equal bytes: the state table's diff relies on it."""
    payload = _ENCODER.encode(message)
    beginning = _beginning(type(message))
    if not beginning or not payload.startswith(beginning):
        return payload  # without a tag, which is always encoded first, or without a text
    text_end = len(beginning) + len(_ENCODER.encode(message.text))  # type: ignore[attr-defined]  # it begins so
    return b'{"text":%b,%b%b' % (payload[len(beginning) : text_end], beginning[1:-_TEXT_BYTES], payload[text_end:])


def equal(old: Wire, new: Wire) -> bool:
    """Whether two messages give equal bytes. Python's own `==` holds `true`, `1` and `1.0` for equal."""
    return old == new and _ENCODER.encode(old) == _ENCODER.encode(new)


@cache
def _beginning(type_: type[Wire]) -> bytes:
    """How messages of a type with a tag begin, if they have a text; empty for a type without a tag."""
    tag = type_.__struct_config__.tag
    return f'{{"type":"{tag}","text":'.encode() if tag is not None else b""


def is_removal(payload: bytes) -> bool:
    """Whether a state message says `op: remove`, whatever else it holds.

    Raises:
        MalformedMessageError: it may be one, and is not a JSON object with a textual `op`.
    """
    # Nearly always; an escape may spell it, too. A single byte is found in a quarter of the time that two take.
    if b"remove" not in payload and (b"\\" not in payload or b"\\u" not in payload):
        return False
    try:
        return _OP_DECODER.decode(payload).op == REMOVE
    except _MALFORMED as error:
        raise MalformedMessageError(f"expected a JSON object: {_described(error)}") from None


class Codec(Generic[T]):
    """Decodes one signal's messages."""

    def __init__(
        self,
        signal: str,
        type_: object,
        *,
        subject_of: Callable[[T, str], str],
        names_of: Callable[[T], object] | None = None,
    ) -> None:
        """`subject_of` returns the subject on which a message belongs, `names_of` what that is made of, if of it alone.

        Its second argument is the subject on which the message was found, and it may raise MalformedMessageError.
        """
        self.signal: Final = signal
        self.type: Final = type_
        self._subject_of = subject_of
        self._names_of = names_of
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(type_)

    def decode(self, payload: bytes, *, subject: str = "", known: T | None = None) -> T:
        """The message of these bytes; with a `subject`, it must be about what the subject names.

        `known`: a message of that subject, to compare with at half the cost.

        Raises:
            UnknownTypeError: its `type` is a textual one that this version does not know.
            MalformedMessageError: the contract does not allow them. The text says where, never what was found there,
                since a payload may hold a secret.
        """
        try:
            message = self._decoder.decode(payload)
        except _MALFORMED as error:
            if _UNKNOWN_TYPE.search(str(error)):
                raise UnknownTypeError(f"not a {self.signal} message of a known type") from None
            raise MalformedMessageError(f"not a valid {self.signal} message: {_described(error)}") from None
        if known is not None and self._names_of is not None and self._names_of(known) == self._names_of(message):
            return message
        if subject:
            self.compare(message, subject)
        return message

    def compare(self, message: T, subject: str) -> None:
        """Compare a message with the subject on which it was found.

        Raises:
            MalformedMessageError: it is not about what the subject names.
        """
        if (named := self._subject_of(message, subject)) != subject:
            raise MalformedMessageError(f"not a valid {self.signal} message: {_mismatch(self.signal, named, subject)}")


def _mismatch(signal: str, named: str, subject: str) -> str:
    """Which fields of a message differ from its subject; without their values, which may be anything."""
    tokens = zip(subjects.FIELDS[signal], named.split(".")[2:], subject.split(".")[2:], strict=False)
    fields = " and ".join(field for field, own, expected in tokens if own != expected) or "names"
    return f"expected the {fields} of its subject {subject}, found another"


def _subject_of_meta(message: Meta, subject: str) -> str:
    """Of leases and dead letters the subject alone names the service; its last part says which of them it is."""
    tokens = subjects.parse(subject).tokens
    service, instance = tokens["service"], tokens["instance"]
    match message:
        case Heartbeat():
            if meta.is_reserved(message.instance):  # else a heartbeat could take a lease away
                raise MalformedMessageError("not a valid meta message: expected a lease or dead letter, found another")
            service, instance = subjects.escape(message.service), subjects.escape(message.instance)
        case Lease():
            instance = meta.LEASE
        case DeadLetter():
            instance = instance if instance.startswith(f"{meta.DEAD_LETTER}-") else meta.DEAD_LETTER
    return ".".join((subjects.ROOT, "meta", tokens["cluster"], service, instance))


def _described(error: Exception) -> str:
    """The error without the one value that msgspec quotes, an unknown tag: it may be anything, a secret too."""
    return re.sub(r"^Invalid value '.*'", "Unknown value", str(error), flags=re.DOTALL)


ENTITY: Final = Codec[Entity](
    "entity",
    Entity,
    subject_of=lambda entity, _: entity.ref.subject("entity", source=entity.source),
    names_of=attrgetter("ref", "source"),
)
PULSE: Final = Codec[Pulse]("pulse", Pulse, subject_of=lambda pulse, _: pulse.ref.subject("pulse", source=pulse.source))
EVENT: Final = Codec[Event]("event", Event, subject_of=lambda event, _: event.ref.subject("event", source=event.source))
TOPOLOGY: Final = Codec[TopologyEntity](
    "topology",
    TopologyEntity,
    subject_of=lambda entity, _: entity.ref.subject("topology"),
    names_of=attrgetter("ref"),
)
HEALTH: Final = Codec[Health](
    "health", Health, subject_of=lambda health, _: health.ref.subject("health"), names_of=attrgetter("ref")
)
ALERT: Final = Codec[Alert]("alert", Alert, subject_of=lambda alert, _: alert.ref.subject("alert", check=alert.check))
INCIDENT: Final = Codec[Incident]("incident", Incident, subject_of=lambda incident, _: incident.subject)
NOTICE: Final = Codec[Notice]("notice", Notice, subject_of=lambda notice, _: notice.subject)
SILENCE: Final = Codec[Silence]("silence", Silence, subject_of=lambda silence, _: silence.subject)
ACK: Final = Codec[Acknowledgement]("ack", Acknowledgement, subject_of=lambda acknowledged, _: acknowledged.subject)
AUDIT: Final = Codec[AuditRecord]("audit", AuditRecord, subject_of=lambda record, _: record.subject)
META: Final = Codec[Meta]("meta", Meta, subject_of=_subject_of_meta)

BY_SIGNAL: Final[dict[str, Codec[Wire]]] = {  # a Codec only ever gives, so reading it as one of Wire is sound
    codec.signal: codec  # type: ignore[misc]
    for codec in (ENTITY, PULSE, EVENT, TOPOLOGY, HEALTH, ALERT, INCIDENT, NOTICE, SILENCE, ACK, AUDIT, META)
}
