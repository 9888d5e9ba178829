"""collector-otel in the process of the test: on ports of its own, with a window of two seconds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from kgents_collector_otel.app import SERVICE
from kgents_collector_otel.config import Config, GrpcConfig, HttpConfig
from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Connection, Entity
from kgents_shared.runtime.service import Context
from support.in_process import published, run_in_process
from support.ports import free_port
from support.waiting import eventually

WINDOW_S = 2.0


class Otel(NamedTuple):
    context: Context[Config]
    grpc: int
    http: int

    def app(self, name: str) -> Entity | None:
        found = [each for each in published(self.context, "entity") if each.ref.name == name]
        return found[0] if found else None

    def edge(self, name: str, peer: str) -> Connection | None:
        """The connection of an application to a peer, by its name or address."""
        entity = self.app(name)
        for each in entity.connections if entity is not None else ():
            if getattr(each.peer, "name", each.peer) == peer:
                return each
        return None


@asynccontextmanager
async def otel_collector(bus: Bus, directory: Path, **settings: Any) -> AsyncIterator[Otel]:
    grpc, http = free_port(), free_port()
    config = Config(
        **{
            "grpc": GrpcConfig(port=grpc),
            "http": HttpConfig(port=http),
            "window_s": WINDOW_S,
            "pair_wait_s": 2.0,
            **settings,
        }
    )
    async with run_in_process(SERVICE, config, bus, directory) as context:
        otel = Otel(context, grpc, http)
        await eventually(lambda: context.status.state == "in_sync")
        yield otel
