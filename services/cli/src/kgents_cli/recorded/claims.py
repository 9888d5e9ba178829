"""The leases of the replayed collectors: the replay holds them, so that no other one writes there meanwhile."""

import secrets
from typing import Final

from msgspec import structs

from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import last_message
from kgents_shared.bus.publish import EXPECTED_SEQUENCE, TTL, WRONG_SEQUENCE_CODES, Publisher
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import META, encode
from kgents_shared.contract.errors import BusError, BusTimeoutError, KgentsError, MalformedMessageError
from kgents_shared.contract.meta import HEARTBEAT_TTL_S, LEASE, Heartbeat, Lease
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.clock import SystemClock

_STREAM: Final = NAME_BY_SIGNAL["meta"]


class Claims:
    """One lease for each collector, renewed with each of its heartbeats, and valid for as long as these are."""

    def __init__(self, bus: Bus, publisher: Publisher) -> None:
        self._bus = bus
        self._publisher = publisher
        self._token = secrets.token_hex(4)
        self._held: dict[str, tuple[Lease, int]] = {}  # by subject; with its sequence

    async def renew(self, cluster: str, beat: Heartbeat) -> None:
        """Hold the lease of the collector that this heartbeat is of.

        Raises:
            KgentsError: another one holds it.
        """
        subject = subjects.build("meta", cluster=cluster, service=beat.service, instance=LEASE)
        lease, seq = self._held.get(subject) or (self._lease(beat), await self._free(subject, cluster, beat))
        try:
            stored = await self._publisher.send_one(subject, encode(lease), _headers(seq, HEARTBEAT_TTL_S))
            self._held[subject] = lease, stored.seq
        except BusTimeoutError:  # stored or not: the next heartbeat finds out
            self._held.pop(subject, None)
        except BusError as error:
            if error.code not in WRONG_SEQUENCE_CODES:
                raise
            self._held.pop(subject, None)  # it ran out, or is another one's
            await self._free(subject, cluster, beat)

    async def release(self) -> None:
        """Let any other collector begin."""
        for subject, (lease, seq) in self._held.items():
            freed = structs.replace(lease, text=f"the replay released the lease of {lease.holder}", holder="")
            try:
                await self._publisher.send_one(subject, encode(freed), _headers(seq, 1))
            except BusError:
                continue  # it runs out by itself
        self._held.clear()

    def _lease(self, beat: Heartbeat) -> Lease:
        holder = f"{beat.instance}/{self._token}"
        return Lease(f"{holder} holds the lease of {beat.service}, replayed", holder, SystemClock().now())

    async def _free(self, subject: str, cluster: str, beat: Heartbeat) -> int:
        """The sequence that a claim replaces."""
        last = await last_message(await self._bus.session(), _STREAM, subject)
        if last is None or last.marker:
            return last.seq if last is not None else 0
        try:
            message = META.decode(last.payload, subject=subject)
        except MalformedMessageError:
            return last.seq
        holder = message.holder if isinstance(message, Lease) else ""
        if holder and not holder.endswith(self._token):
            raise KgentsError(
                f"expected the lease of {beat.service} in {cluster} to be free, found that {holder} holds it; "
                "try: another name with --as, or again in 15 s if a replay was killed"
            )
        return last.seq


def _headers(seq: int, ttl_s: int) -> dict[str, str]:
    return {EXPECTED_SEQUENCE: str(seq), TTL: f"{ttl_s}s"}
