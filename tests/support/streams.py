"""The pipeline's streams on a test's server."""

from contextlib import aclosing
from typing import Any

from kgents_shared.bus import provision
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Position, follow
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract.streams import StreamsConfig, streams


async def provision_streams(bus: Bus, config: StreamsConfig | None = None) -> None:
    session = await bus.session(timeout_s=10)
    await provision.apply(session, await provision.plan(session, streams(config or StreamsConfig())))


async def keep_all(bus: Bus, stream: str) -> None:
    """Let a stream keep every message of a subject, so that a test can read how it came to the last one."""
    session = await bus.session(timeout_s=10)
    info: dict[str, Any] = await session.api(f"STREAM.INFO.{stream}", None, dict)
    await session.api(f"STREAM.UPDATE.{stream}", info["config"] | {"max_msgs_per_subject": -1}, dict)


async def stored(bus: Bus, stream: str, pattern: str = ">", *, after: int = 0) -> list[Delivery]:
    """Every message that a stream holds under a pattern, behind a sequence."""
    found: list[Delivery] = []
    info = await stream_info(await bus.session(), stream)
    start = Position(info.created, after, info.now_ns)
    batches = follow(bus, stream, [pattern], position=start)
    async with aclosing(batches):
        async for batch in batches:
            found += batch.deliveries
            if batch.caught_up:
                return found
    return found


async def readers(bus: Bus, stream: str) -> int:
    """How many read a stream and have been sent all that it holds for them."""
    session = await bus.session()
    found = await session.api(f"CONSUMER.LIST.{stream}", {}, dict)
    return sum(each["num_pending"] == 0 for each in found["consumers"] or ())


async def log(bus: Bus, stream: str) -> list[Delivery]:
    """Every message that a log holds, in order."""
    found: list[Delivery] = []
    info = await stream_info(await bus.session(), stream)
    start = Position(info.created, 0, info.now_ns)
    batches = follow(bus, stream, info.config["subjects"], position=start, as_log=True)
    async with aclosing(batches):
        async for batch in batches:
            found += batch.deliveries
            if batch.caught_up:
                return found
    return found
