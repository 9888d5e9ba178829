"""collector-db as a service: its configuration, and what it published last."""

from contextlib import aclosing
from pathlib import Path
from typing import Any

import yaml

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Position, follow
from kgents_shared.bus.jetstream import last_message, stream_info
from kgents_shared.contract.codec import PULSE
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import DatabasePulse
from support.postgres_server import PASSWORD


def configuration(directory: Path, **section: Any) -> str:
    """The path of a file with this section `collector-db`."""
    path = directory / "kgents.yaml"
    path.write_text(yaml.safe_dump({"collector-db": section}))
    return str(path)


def watching(directory: Path, port: int, **more: Any) -> dict[str, Any]:
    """One PostgreSQL target, polled every second."""
    password = directory / "password"
    password.write_text(PASSWORD)
    return {"port": port, "interval_s": 1, "password_file": str(password), "breaker_pause_s": 2, **more}


async def last_pulse(bus: Bus, ref: Ref) -> DatabasePulse | None:
    subject = ref.subject("pulse", source="db")
    found = await last_message(await bus.session(), "KGENTS_PULSE", subject)
    pulse = PULSE.decode(found.payload, subject=subject) if found is not None else None
    assert pulse is None or isinstance(pulse, DatabasePulse)
    return pulse


async def stored(bus: Bus, stream: str) -> list[bytes]:
    """Every payload that a stream holds."""
    found: list[bytes] = []
    info = await stream_info(await bus.session(), stream)
    start = Position(info.created, 0, info.now_ns)
    async with aclosing(follow(bus, stream, [">"], position=start)) as batches:
        async for batch in batches:
            found += [each.payload for each in batch.deliveries]
            if batch.caught_up:
                return found
    return found
