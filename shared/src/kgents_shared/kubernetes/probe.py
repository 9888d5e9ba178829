"""Whether the server answers: a short request every few seconds, since a watch may be silent for long.

A server that hangs, or that the network cut off, closes no connection: its watches seem idle.
"""

import asyncio
from typing import Final

import structlog

from kgents_shared.kubernetes.client import ApiClient
from kgents_shared.runtime.clock import Clock

EVERY_S: Final = 15.0

_log = structlog.get_logger(__name__)


class Probe:
    """`run` never returns."""

    def __init__(self, client: ApiClient, clock: Clock, changed: asyncio.Event) -> None:
        """`changed` is set whenever `fault` changes."""
        self.fault = ""
        """Why the server counts as unreachable; empty while it answers, even with a refusal."""
        self._client = client
        self._clock = clock
        self._changed = changed

    async def run(self) -> None:
        """Poll the server, and end its watches when it stops answering: they resume when it answers again."""
        while True:
            await self._clock.sleep(EVERY_S)
            fault = "" if await self._client.is_alive() else f"{self._client.url}: no answer in time"
            if fault != self.fault:
                self.fault = fault
                self._changed.set()
                if fault:
                    _log.warning("server_unresponsive", reason=fault)
                    self._client.end_watches()
                else:
                    _log.info("server_responsive", server=self._client.url)
