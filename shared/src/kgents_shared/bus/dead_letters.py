"""Reports messages that could not be read: delivery, reason → DeadLetter in KGENTS_META; the service goes on.

The subject's last part is the stream's signal and a slot out of `SLOTS`, chosen by the message's own sequence. So a
message that is delivered again overwrites its own dead letter, two streams never overwrite each other's, and
however many there are, the server keeps no more than `SLOTS` of them for each service and stream.

The message itself is not kept: its content is unchecked, and may hold a secret. Its stream keeps it under the
sequence for as long as it keeps any message; after that, the digest and size say whether another one is the same.
"""

import hashlib
from typing import Final

from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.publish import TTL, Lost, Outcome, Publisher, Refused, Stored
from kgents_shared.contract import meta, subjects
from kgents_shared.contract.codec import encode
from kgents_shared.contract.streams import DAY_S, NAME_BY_SIGNAL

SLOTS: Final = 64
TTL_S: Final = 7 * DAY_S
UNKNOWN: Final = "unknown"
"""In place of the signal, of a message whose subject names none of ours."""

_log = get_logger(__name__)


class DeadLetters:
    """The dead letters of one service."""

    def __init__(self, publisher: Publisher, cluster: str, service: str) -> None:
        self.count = 0
        """Messages dead-lettered since the start."""
        self._publisher = publisher
        self._cluster = cluster
        self._service = service
        self._open: dict[str, bytes] = {}  # subject → the letter that is not stored: at most one for each slot

    async def publish(self, delivery: Delivery, reason: str) -> None:
        """Publish it with its reason; waits while there is no connection to NATS, but not for the ack."""
        self.count += 1
        signal = _signal_of(delivery)
        evidence = f"{NAME_BY_SIGNAL.get(signal, '?')}:{delivery.seq}"
        _log.warning("message_dead_lettered", subject=delivery.subject, evidence=evidence, reason=reason)
        letter = meta.DeadLetter(
            text=f"{self._service} could not read {evidence} ({delivery.subject}): {reason}",
            subject=delivery.subject,
            reason=reason,
            evidence=evidence,
            payload_sha256=hashlib.sha256(delivery.payload).hexdigest(),
            size_bytes=len(delivery.payload),
        )
        await self._send(self.subject_of(delivery), encode(letter))

    def subject_of(self, delivery: Delivery) -> str:
        """Where the dead letter of a message is stored."""
        slot = f"{meta.DEAD_LETTER}-{_signal_of(delivery)}-{delivery.seq % SLOTS}"
        return subjects.build("meta", cluster=self._cluster, service=self._service, instance=slot)

    async def send_again(self) -> None:
        """Send the letters that are not stored, for every now and then: an ack may be lost, or the disk full."""
        open_, self._open = self._open, {}
        for subject, letter in open_.items():
            await self._send(subject, letter)

    async def _send(self, subject: str, letter: bytes) -> None:
        def settle(outcome: Outcome) -> None:
            match outcome:
                case Stored():
                    return
                case Refused(text=text):
                    _log.warning("dead_letter_rejected", reason=text)
                case Lost():
                    _log.warning("dead_letter_unconfirmed")
            self._open[subject] = letter

        await self._publisher.send(subject, letter, {TTL: f"{TTL_S}s"}, settle)


def _signal_of(delivery: Delivery) -> str:
    """The signal of the stream that delivered it; its subject may itself be malformed."""
    signal = "".join(delivery.subject.split(".")[1:2])
    return signal if signal in NAME_BY_SIGNAL else UNKNOWN
