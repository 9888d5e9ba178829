"""The `kgents` command as a user runs it: a real process, and a bare client to publish what it will show."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from nats.aio.client import Client

from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.event import Event
from kgents_shared.contract.health import Health
from kgents_shared.contract.pulse import DatabasePulse, ResourcePulse
from kgents_shared.contract.topology import TopologyEntity
from support.process import spawn_async
from support.waiting import within

PROGRAM = str(Path(sys.executable).with_name("kgents"))
TIMEOUT_S = 30.0


class Result(NamedTuple):
    code: int | None
    out: str
    err: str


Kgents = Callable[..., Awaitable[Result]]
"""`await kgents("topology", "-o", "json")`."""


async def start_kgents(*args: str) -> asyncio.subprocess.Process:
    return await spawn_async(PROGRAM, *args, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)


async def result_of(process: asyncio.subprocess.Process) -> Result:
    async with within(TIMEOUT_S):
        out, err = await process.communicate()
    return Result(process.returncode, out.decode(), err.decode())


async def run_kgents(*args: str) -> Result:
    return await result_of(await start_kgents(*args))


Message = Entity | TopologyEntity | Health | Alert | Event | ResourcePulse | DatabasePulse


async def publish(client: Client, message: Message) -> int:
    """Store a message as any client would; returns its sequence."""
    match message:
        case Entity():
            subject = message.ref.subject("entity", source=message.source)
        case TopologyEntity():
            subject = message.ref.subject("topology")
        case Health():
            subject = message.ref.subject("health")
        case Alert():
            subject = message.ref.subject("alert", check=message.check)
        case Event():
            subject = message.ref.subject("event", source=message.source)
        case ResourcePulse() | DatabasePulse():
            subject = message.ref.subject("pulse", source=message.source)
    return (await client.jetstream().publish(subject, encode(message))).seq
