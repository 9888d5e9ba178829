"""Advisories: messages on `$JS.EVENT.ADVISORY.>` → events on the stream, consumer or server they are about."""

import re
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from kgents_collector_nats.mapping import consumer, server, stream
from kgents_collector_nats.mapping.scope import SOURCE, Scope
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.event import Event

_NOISE: Final = ("api_audit", "nak", "consumer_action")
"""Not reported: one for each API request, for each redelivery that a consumer requests, for each ephemeral consumer
(every snapshot creates and deletes one). Durable consumers are in the topology."""

_SEVERITY: Final = {
    "max_deliver": "error",
    "terminated": "warning",
    "stream_batch_abandoned": "warning",
    "stream_quorum_lost": "critical",
    "consumer_quorum_lost": "critical",
    "server_out_of_space": "critical",
    "server_removed": "warning",
}
"""By the last part of an advisory's type; any other, also one that a newer server sends, is `info`."""

_SENTENCE: Final = {
    "max_deliver": "{ref} gave up on message {stream_seq} after {deliveries} deliveries.",
    "terminated": "{ref} gave up on message {stream_seq} because its reader said so.",
    "stream_quorum_lost": "{ref} has lost its quorum and takes no messages.",
    "consumer_quorum_lost": "{ref} has lost its quorum and delivers nothing.",
    "stream_leader_elected": "{ref} is led by {leader} now.",
    "consumer_leader_elected": "{ref} is led by {leader} now.",
    "server_out_of_space": "{ref} has no space left for JetStream.",
    "server_removed": "{ref} was removed from the JetStream cluster.",
}


class Advisory(Struct, frozen=True):
    """An advisory as it came."""

    subject: str
    payload: bytes
    account: str = "$G"
    """The account in which it was received, which is the stream's: the advisory itself does not name it."""


class _Body(Struct, frozen=True):
    """The fields of all advisory types that we read; most types have few of them."""

    type: str
    id: str
    timestamp: datetime
    stream: str = ""
    consumer: str = ""
    server: str = ""
    action: str = ""
    leader: str = ""
    stream_seq: int = 0
    deliveries: int = 0
    paused: bool | None = None


_DECODER: Final = msgspec.json.Decoder(_Body)


def event(advisory: Advisory, scope: Scope) -> Event | None:
    """The event of an advisory; None if it is not reported, or about none of our kinds.

    Raises:
        MalformedMessageError: it is not an advisory.
    """
    try:
        body = _DECODER.decode(advisory.payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedMessageError(f"not a JetStream advisory on {advisory.subject}: {error}") from error
    kind = body.type.rpartition(".")[2]
    ref = _ref(body, advisory.account, scope)
    if ref is None or kind in _NOISE:
        return None
    reason = _reason(kind, body)
    return Event(
        text=_text(kind, reason, ref, body),
        id=body.id,
        ref=ref,
        source=SOURCE,
        type=body.type,
        reason=reason,
        severity=_SEVERITY.get(kind, "info"),
        first_at=body.timestamp,
        last_at=body.timestamp,
    )


def _ref(body: _Body, account: str, scope: Scope) -> Ref | None:
    if body.consumer:
        return scope.ref(consumer.KIND, consumer.name_of(body.stream, body.consumer), account)
    if body.stream:
        return scope.ref(stream.KIND, body.stream, account)
    return scope.ref(server.KIND, body.server) if body.server else None


def _reason(kind: str, body: _Body) -> str:
    """`stream_action` with `create` → `StreamCreate`; `consumer_pause` → `ConsumerPause` or `ConsumerResume`."""
    words = kind.removesuffix("_action") + ("_" + body.action if body.action else "")
    if kind == "consumer_pause" and body.paused is False:
        words = "consumer_resume"
    return "".join(word.capitalize() for word in words.split("_"))


def _text(kind: str, reason: str, ref: Ref, body: _Body) -> str:
    if sentence := _SENTENCE.get(kind):
        return sentence.format(
            ref=ref, stream_seq=body.stream_seq, deliveries=body.deliveries, leader=body.leader or "no server"
        )
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", reason).lower()
    return f"{ref}: {words}."
