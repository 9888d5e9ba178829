"""A server with a system account and an application in account APP, and the two ways to read it."""

import asyncio
from contextlib import AbstractAsyncContextManager

from kgents_collector_nats.config import Config
from kgents_collector_nats.source import Source, open_source
from kgents_shared.bus.config import NatsConfig, Secret
from kgents_shared.bus.session import Session
from kgents_shared.runtime.clock import SystemClock
from support.nats_server import NatsServer
from support.waiting import MACHINE

ACCOUNTS = """
authorization { timeout: 60 }
accounts {
  $SYS: { users: [{ user: sys, password: sys }] }
  APP: { jetstream: enabled, users: [{ user: app, password: app }] }
}
"""


def login(server: NatsServer, user: str) -> NatsConfig:
    return NatsConfig(url=server.url, user=user, password=Secret(user), request_timeout_s=MACHINE.limit_s(5))


def opened(config: Config) -> AbstractAsyncContextManager[Source]:
    return open_source(config, SystemClock(), connection_name="collector-nats/test")


def configured(way: str, server: NatsServer, *, timeout_s: float | None = None) -> Config:
    timeout_s = timeout_s or MACHINE.limit_s(3)
    if way == "http":
        return Config(monitor_urls=[server.monitor_url], request_timeout_s=timeout_s)
    return Config(system=login(server, "sys"), request_timeout_s=timeout_s)


async def connect_raw(server: NatsServer, lines: str) -> asyncio.StreamWriter:
    """A client of a few protocol lines; returns when the server has read them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await reader.readline()  # INFO
    writer.write(f"{lines}\r\nPING\r\n".encode())
    if (answer := await reader.readline()) != b"PONG\r\n":
        writer.close()
        raise AssertionError(f"the server answered {answer!r} to {lines}")
    return writer


async def make_streams(session: Session) -> None:
    """ORDERS with a durable, an ephemeral and two messages; its mirror COPY."""
    await session.api("STREAM.CREATE.ORDERS", {"name": "ORDERS", "subjects": ["orders.>"], "max_msgs": 10}, dict)
    await session.api("STREAM.CREATE.COPY", {"name": "COPY", "mirror": {"name": "ORDERS"}}, dict)
    for name, more in (("billing", {"durable_name": "billing"}), ("once", {"inactive_threshold": 60_000_000_000})):
        body = {"stream_name": "ORDERS", "config": {"name": name, "ack_policy": "explicit", **more}}
        await session.api(f"CONSUMER.CREATE.ORDERS.{name}", body, dict)
    for number in range(2):
        await session.request("orders.new", str(number).encode())
