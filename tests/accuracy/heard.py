"""What `kgents up` publishes of the shop, window by window. NATS → here → `record`."""

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import Final

from nats.aio.msg import Msg

from kgents_shared.contract.codec import PULSE, TOPOLOGY, is_removal
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.pulse import TrafficPulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import kinds
from support.otel_shop import NAMES
from support.waiting import within

WINDOW_S: Final = 2
"""Of the collector; in a replay it is a minute."""
TOGETHER_S: Final = 0.5
"""After the first pulse of a window it is over."""
SHOWN: Final = frozenset({kinds.APP, kinds.CONTAINER, kinds.DATABASE})


class Heard:
    """What is published, since the window before."""

    def __init__(self) -> None:
        self.topology: list[bytes] = []
        self.pulses: list[bytes] = []
        self.entities: dict[Ref, bytes] = {}
        self._windows: asyncio.Queue[tuple[list[bytes], list[bytes]]] = asyncio.Queue()
        self._at: datetime | None = None

    async def on_topology(self, message: Msg) -> None:
        with contextlib.suppress(MalformedMessageError):  # an aggregate
            entity = TOPOLOGY.decode(message.data)
            if entity.ref.kind not in SHOWN:
                return
            self.topology.append(message.data)
            self.entities[entity.ref] = message.data
            if is_removal(message.data):
                del self.entities[entity.ref]

    async def on_pulse(self, message: Msg) -> None:
        pulse = PULSE.decode(message.data)
        if pulse.ref.kind not in SHOWN:
            return
        self.pulses.append(message.data)
        is_of_next = self._at is None or pulse.timestamp - self._at > timedelta(seconds=WINDOW_S / 2)
        if isinstance(pulse, TrafficPulse) and is_of_next:  # all of one window come at once
            self._at = pulse.timestamp
            asyncio.get_running_loop().call_later(TOGETHER_S, self._close)

    def _close(self) -> None:
        self._windows.put_nowait((self.topology, self.pulses))
        self.topology, self.pulses = [], []

    async def window(self) -> tuple[list[bytes], list[bytes]]:
        """The next window, when it is over."""
        async with within(20 * WINDOW_S):
            return await self._windows.get()

    @property
    def is_whole(self) -> bool:
        """Whether the topology has all there is, each application with what it runs in and the database it asks."""
        found = {ref.name: TOPOLOGY.decode(each) for ref, each in self.entities.items() if ref.kind == kinds.APP}
        databases = {ref for ref in self.entities if ref.kind == kinds.DATABASE}
        if len(found) != len(NAMES) or len(databases) < 2:
            return False
        is_placed = all(_peers(each, kinds.CONTAINER) for each in found.values())
        asks = [*_peers(found["cart"], kinds.DATABASE), *_peers(found["prices"], kinds.DATABASE)]
        return is_placed and len(asks) == 2

    async def pass_over(self, windows: int) -> None:
        """These, and those that nobody has waited for."""
        while not self._windows.empty():
            self._windows.get_nowait()
        for _ in range(windows):
            await self.window()


def _peers(entity: TopologyEntity, kind: str) -> list[Ref]:
    return [each.peer for each in entity.connections if each.peer.kind == kind]
