"""The names of the requests to the JetStream API: what a program asks for, and what its login must be permitted. Pure.

`jetstream` makes the requests and `permissions` grants them by the same functions, with `*` in place of a name.
"""

from collections.abc import Sequence
from typing import Final

from kgents_shared.contract.meta import DEAD_LETTER
from kgents_shared.contract.subjects import FIELDS, build

ACCOUNT: Final = "INFO"
"""What JetStream is to our account."""


NAMES: Final = "STREAM.NAMES"
"""Which streams capture a subject."""
LIST: Final = "STREAM.LIST"
"""All streams of our account."""

_TIDYING: Final = (".api.consumer.delete.", f".{DEAD_LETTER}-")


def api_prefix_of(domain: str | None) -> str:
    """How requests to the JetStream of a domain begin; None: of the server that we are connected to."""
    return f"$JS.{domain}.API." if domain else "$JS.API."


def create_of(stream: str) -> str:
    """A new stream."""
    return f"STREAM.CREATE.{stream}"


def update_of(stream: str) -> str:
    """Another configuration of a stream."""
    return f"STREAM.UPDATE.{stream}"


def info_of(stream: str) -> str:
    """What a stream is and holds."""
    return f"STREAM.INFO.{stream}"


def consumer_of(stream: str, name: str, filters: Sequence[str]) -> str:
    """A new consumer. A single filter is part of the name, so that a login can be held to it; several cannot be."""
    return ".".join(("CONSUMER.CREATE", stream, name, *(filters if len(filters) == 1 else ())))


def messages_of(stream: str, name: str) -> str:
    """The next messages of a consumer."""
    return f"CONSUMER.MSG.NEXT.{stream}.{name}"


def progress_of(stream: str, name: str) -> str:
    """How far a consumer has come, and the server's clock."""
    return f"CONSUMER.INFO.{stream}.{name}"


def end_of(stream: str, name: str) -> str:
    """The end of a consumer."""
    return f"CONSUMER.DELETE.{stream}.{name}"


def last_of(stream: str, subject: str) -> str:
    """The last message of a subject, or under a filter; the subject is part of the name, as above."""
    return f"DIRECT.GET.{stream}.{subject}"


def past_of(stream: str) -> str:
    """Messages as they were at a time: of all subjects, since no login can be held to some of them."""
    return f"DIRECT.GET.{stream}"


def purge_of(stream: str) -> str:
    """The removal of messages."""
    return f"STREAM.PURGE.{stream}"


def snapshot_of(stream: str) -> str:
    """A copy of a stream."""
    return f"STREAM.SNAPSHOT.{stream}"


def restore_of(stream: str) -> str:
    """A stream out of a copy."""
    return f"STREAM.RESTORE.{stream}"


def delete_of(stream: str) -> str:
    """The removal of a stream."""
    return f"STREAM.DELETE.{stream}"


def probe_of(signal: str) -> str:
    """The subject of a message that no stream stores: it asks which ones would. No request, but named here as well."""
    return build(signal, **dict.fromkeys(FIELDS[signal], "provision"))


COPY_ACKS: Final = "$JS.SNAPSHOT.ACK"
"""Where the server awaits that a part of a copy has arrived."""
COPY_PARTS: Final = "$JS.SNAPSHOT.RESTORE"
"""Where the server takes the parts of a copy."""
DISCOVERY: Final = ("PING", "INFO", "STATS")
"""What the NATS Services API asks: who is there, what can be asked, what was asked."""


def discovery_of(verb: str, name: str, id_: str) -> tuple[str, str, str]:
    """Of all services, of those with one name, of one instance. No request of ours: these we answer."""
    return f"$SRV.{verb}", f"$SRV.{verb}.{name}", f"$SRV.{verb}.{name}.{id_}"


def is_tidying(refusal: str) -> bool:
    """Whether a server's error on a missing permission is about what only tidies up, or notes what was passed over.

    Without it a consumer lives until it is inactive for long, and of a dead letter only the count is known. What a
    service reads and publishes is complete.
    """
    return any(each in refusal.lower() for each in _TIDYING)
