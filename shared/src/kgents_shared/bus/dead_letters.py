"""What could not be read, kept for people: delivery, reason → DeadLetter in KGENTS_META; the service goes on.

The subject's last part is a slot out of `SLOTS`, chosen by the message's own sequence. So a poison that is delivered
again overwrites itself, and however many there are, the server keeps no more than `SLOTS` of them for each service.
"""

import base64
from typing import Final

from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.publish import TTL, Lost, Outcome, Publisher, Refused, Stored
from kgents_shared.contract import meta, subjects
from kgents_shared.contract.codec import encode
from kgents_shared.contract.streams import DAY_S, NAME_BY_SIGNAL

SLOTS: Final = 64
TTL_S: Final = 7 * DAY_S
PAYLOAD_BYTES: Final = 4 * 1024
"""How much of the message is kept: enough to see what it is."""

_log = get_logger(__name__)


class DeadLetters:
    """The dead letters of one service."""

    def __init__(self, publisher: Publisher, cluster: str, service: str) -> None:
        self.count = 0
        """Messages dead-lettered since the start."""
        self._publisher = publisher
        self._cluster = cluster
        self._service = service

    async def publish(self, delivery: Delivery, reason: str) -> None:
        """Publish it with its reason, best effort; waits while NATS is away, as its message came from there."""
        self.count += 1
        evidence = f"{_stream_of(delivery)}:{delivery.seq}"
        _log.warning("message_dead_lettered", subject=delivery.subject, evidence=evidence, reason=reason)
        letter = meta.DeadLetter(
            text=f"{self._service} could not read {evidence} ({delivery.subject}): {reason}",
            subject=delivery.subject,
            reason=reason,
            evidence=evidence,
            payload_base64=base64.b64encode(delivery.payload[:PAYLOAD_BYTES]).decode(),
            size_bytes=len(delivery.payload),
        )
        slot = f"{meta.DEAD_LETTER}-{delivery.seq % SLOTS}"
        subject = subjects.build("meta", cluster=self._cluster, service=self._service, instance=slot)
        await self._publisher.send(subject, encode(letter), {TTL: f"{TTL_S}s"}, _on_outcome)


def _stream_of(delivery: Delivery) -> str:
    """The stream that delivered it; its subject may itself be malformed."""
    signal = delivery.subject.split(".")[1:2]
    return NAME_BY_SIGNAL.get("".join(signal), "?")


def _on_outcome(outcome: Outcome) -> None:
    match outcome:
        case Refused(text=text):
            _log.warning("dead_letter_rejected", reason=text)
        case Lost():
            _log.warning("dead_letter_unconfirmed")
        case Stored():
            pass
