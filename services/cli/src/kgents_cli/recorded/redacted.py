"""A message of a recording → the same without a name in it. Pure.

Of everything that is text only `words` are kept. The same name of the same kind is replaced by the same one wherever it
occurs (`pod-3`, `namespace-1`, `10.0.0.7`), two names never by one, and in the order in which they come, which says
nothing of them. Numbers, times, kinds, figures and conditions stay, so the recording is judged as before.
"""

from typing import Any, Final

import msgspec
from msgspec import structs

from kgents_cli.recorded.words import PREFIXES, SOURCES, is_word
from kgents_shared.contract import address, subjects
from kgents_shared.contract.codec import ENTITY, EVENT, META, PULSE, encode
from kgents_shared.contract.entity import SPANS, STAND_INS, Entity, Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.event import Event
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.recording import MADE, Row
from kgents_shared.contract.sentence import of_entity, of_pulse
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.wire import Wire

_CODECS: Final = {"entity": ENTITY, "pulse": PULSE, "event": EVENT, "meta": META}
_EMPTIED: Final = frozenset(
    {"text", "message", "evidence", "version", "annotations", "publishes", "consumes", "watermark"}
)
"""Fields for people, or of no use in a recording."""
_PLACES: Final = frozenset({"addresses", "aliases", "peer"})
_HEADERS: Final = frozenset({"Nats-TTL", "Kgents-Delayed"})


class Redactor:
    """Replaces the names of one recording."""

    def __init__(self) -> None:
        self.left_out = 0
        """Messages that cannot be read, and so cannot be redacted."""
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def row(self, row: Row) -> Row | None:
        """The message without names; None for one that is left out: unreadable, or no report of a collector."""
        if row.signal in MADE:
            return None
        try:
            codec: Any = _CODECS[row.signal]
            message: Wire = codec.decode(row.body, subject=row.subject)
        except (KeyError, MalformedMessageError):
            self.left_out += 1
            return None
        if row.signal == "meta" and not isinstance(message, Heartbeat):
            return None  # a lease or a dead letter, which name instances and subjects
        redacted = _worded(self._struct(message))
        headers = {name: value for name, value in (row.headers or {}).items() if name in _HEADERS and _is_plain(value)}
        return Row(
            row.at_us, row.kind, row.seq, self._subject(row.subject, redacted), headers or None, encode(redacted)
        )

    def cluster(self, name: str) -> str:
        """What a cluster is called."""
        return self._name("cluster", name)

    def _subject(self, subject: str, message: Any) -> str:
        if isinstance(message, Heartbeat):
            cluster = self.cluster(subjects.parse(subject).value("cluster"))
            return subjects.build("meta", cluster=cluster, service=message.service, instance=message.instance)
        signal = subject.split(".")[1]
        found: str = message.ref.subject(signal, source=message.source)
        return found

    def _struct(self, value: Any) -> Any:
        if isinstance(value, Ref):
            return self._ref(value)
        names = (each for each in value.__struct_fields__)
        fields = {name: self._field(value, name, getattr(value, name)) for name in names}
        return structs.replace(value, **fields)

    def _ref(self, ref: Ref) -> Ref:
        kind = self._word("kind", ref.kind)
        namespace = self._name("namespace", ref.namespace) if ref.namespace else ""
        return Ref(self.cluster(ref.cluster), kind, self._name(kind, ref.name), namespace)

    def _field(self, owner: Any, field: str, value: Any) -> Any:
        if field in _EMPTIED:
            return value if value == SPANS else type(value)()  # by which a connection is resolved
        if field == "source":
            return self._source(value)
        if isinstance(owner, Unread) and field in ("namespace", "name"):
            return self._name(self._word("kind", owner.kind) if field == "name" else field, value)
        return self._value(field, value)

    def _value(self, field: str, value: Any) -> Any:
        match value:
            case str():
                return self._place(value) if field in _PLACES else self._word(field, value)
            case list():
                return [self._value(field, each) for each in value]
            case dict():
                return {self._word(f"{field}-key", key): self._value(field, each) for key, each in value.items()}
            case msgspec.Struct():
                return self._struct(value)
            case _:
                return value  # numbers, times, and what is not known

    def _word(self, field: str, text: str) -> str:
        return text if not text or is_word(text) else self._name(field, text)

    def _source(self, source: str) -> str:
        """Each machine is a source of its own: `host-<its name>`."""
        prefix, dash, name = source.partition("-")
        if dash and prefix in SOURCES:
            return f"{prefix}-{self._name('host', name)}"
        return self._word("source", source)

    def _place(self, text: str) -> str:
        """An address, or an alias: what it begins with and the port stay."""
        if text in STAND_INS:
            return text
        prefix, colon, rest = text.partition(":")
        if colon and prefix in PREFIXES:
            return f"{prefix}:{self._name(prefix, rest)}"
        host, port = address.split(text)
        if address.is_loopback(host) or address.is_unspecified(host):
            return address.normalised(text)
        return address.join(self._host(host), port)

    def _host(self, host: str) -> str:
        name = self._name("address", host)
        if not address.is_ip(host):
            return name
        number = int(name.removeprefix("address-"))
        if ":" in host:
            return f"fd00::{number >> 16:x}:{number & 0xFFFF:x}"
        return f"10.{number >> 16 & 0xFF}.{number >> 8 & 0xFF}.{number & 0xFF}"

    def _name(self, group: str, text: str) -> str:
        if not text:
            return ""
        key = (group, text)
        if key not in self._names:
            number = self._counts[group] = self._counts.get(group, 0) + 1
            self._names[key] = f"{group}-{number}"
        return self._names[key]


def _worded(message: Any) -> Any:
    """With a sentence made of what is left."""
    if isinstance(message, Entity):
        return structs.replace(message, text=of_entity(message))
    if isinstance(message, Event):
        return structs.replace(message, text=f"{message.ref}: {message.reason}")
    if isinstance(message, Heartbeat):
        return structs.replace(message, text=f"{message.service} {message.state.replace('_', ' ')}")
    return structs.replace(message, text=of_pulse(message))


def _is_plain(value: str) -> bool:
    return value.rstrip("s").replace(".", "", 1).isdigit()
