"""Servers → Sample, once for each `read`; advisories as they come. All input of this service comes from here.

Two ways to the same answers: `MonitorSource` asks each server's HTTP monitoring port, `SystemSource` asks all servers
at once over the system account. What cannot be read becomes a Fault and a None, never an empty list: nothing may be
removed because it was not read.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import aiohttp

from kgents_collector_nats.config import Config
from kgents_collector_nats.sample import Sample
from kgents_collector_nats.source.advisories import Advisories
from kgents_collector_nats.source.monitor import MonitorSource
from kgents_collector_nats.source.system import SystemSource
from kgents_shared.bus.client import Bus
from kgents_shared.runtime.clock import Clock

__all__ = ["Advisories", "Source", "open_source"]


class Source(Protocol):
    """Polls servers."""

    async def read(self) -> Sample:
        """Poll once. Every failure is a fault in the sample, never an exception."""


@asynccontextmanager
async def open_source(config: Config, clock: Clock, *, connection_name: str) -> AsyncIterator[Source]:
    """The configured source; the name is shown to the operators of the system account."""
    timeout_s = config.request_timeout_s
    if config.system is not None:
        async with Bus(config.system, name="collector-nats", connection_name=connection_name) as bus:
            yield SystemSource(bus, clock, timeout_s=timeout_s)
    else:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as http:
            yield MonitorSource(http, config.monitor_urls, clock, timeout_s=timeout_s)
