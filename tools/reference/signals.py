"""Facts that the contract does not hold: signal → who writes and reads it; token → its meaning."""

from typing import Final, NamedTuple, get_args

from kgents_shared.contract import subjects
from kgents_shared.contract.codec import BY_SIGNAL
from kgents_shared.contract.streams import Stream, StreamsConfig, streams
from kgents_shared.contract.wire import Wire

ANYBODY: Final = "subscriber"
"""Any reader of the stream outside of kgents."""
PERSON: Final = "person"
"""Who is on call, by a command."""


class Signal(NamedTuple):
    """One signal's place in the flow."""

    says: str
    writers: tuple[str, ...]
    """Services; `collector` is the one collector of the source named in the subject."""
    readers: tuple[str, ...]


class Token(NamedTuple):
    """One part of a subject."""

    meaning: str
    example: str


SIGNALS: Final[dict[str, Signal]] = {
    "entity": Signal("one entity as one source sees it now", ("collector",), ("topology-builder",)),
    "pulse": Signal("a sample of one entity's figures", ("collector",), ("health-scorer", ANYBODY)),
    "event": Signal("what happened to one entity", ("collector",), (ANYBODY,)),
    "topology": Signal(
        "everything known of one entity, and what changed",
        ("topology-builder",),
        ("health-scorer", "alert-notifier", ANYBODY),
    ),
    "health": Signal("the health of one entity, and why", ("health-scorer",), (ANYBODY,)),
    "alert": Signal("the life of one alert", ("health-scorer",), ("alert-notifier", ANYBODY)),
    "incident": Signal("alerts with a common cause, as one", ("alert-notifier",), (ANYBODY,)),
    "notice": Signal("what one receiver knows of one incident", ("alert-notifier",), (ANYBODY,)),
    "silence": Signal("which alerts notify no one, and until when", (PERSON,), ("alert-notifier", ANYBODY)),
    "ack": Signal("who takes care of an incident", (PERSON,), ("alert-notifier", ANYBODY)),
    "audit": Signal("who wrote what, and how that ended", (PERSON,), ("archiver", ANYBODY)),
    "meta": Signal("what a service reports about itself", ("any-service",), ("topology-builder", ANYBODY)),
}

TOKENS: Final[dict[str, Token]] = {
    "cluster": Token("the name of what is observed", "prod"),
    "source": Token("who reports it: the collector's source", "k8s"),
    "kind": Token("its kind", "pod"),
    "namespace": Token("its namespace; `_` for none", "shop"),
    "name": Token("its name; escaped, and over 120 characters cut and hashed", "cart-7f"),
    "check": Token("the check's number in the catalogue", "KG-101"),
    "incident": Token("the incident's id, 16 hexadecimal digits", "5c0ffee5a17c0de5"),
    "receiver": Token("the receiver's name in the configuration", "ops"),
    "silence": Token("the silence's id", "a1b2c3d4"),
    "action": Token("what is written", "silence"),
    "service": Token("the service that reports", "health-scorer"),
    "instance": Token("its process; or `lease`, or `dead-letter-<signal>-<slot>`", "node-1"),
}

STREAMS: Final[dict[str, Stream]] = {stream.signal: stream for stream in streams(StreamsConfig())}
"""Signal → its stream as it is by default."""


def messages(signal: str) -> tuple[type[Wire], ...]:
    """The Structs that a signal carries: the members of a union, or the one type."""
    type_ = BY_SIGNAL[signal].type
    return get_args(type_) or (type_,)


def address(signal: str) -> str:
    """The signal's subjects with a name for each token: `kgents.health.{cluster}.{kind}.{namespace}.{name}`."""
    return ".".join((subjects.ROOT, signal, *(f"{{{field}}}" for field in subjects.FIELDS[signal])))


def example(signal: str) -> str:
    """One subject of this signal."""
    return subjects.build(signal, **{field: TOKENS[field].example for field in subjects.FIELDS[signal]})
