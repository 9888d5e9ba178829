"""What `kgents doctor` makes of heartbeats that a server still holds, which does not drop them in time."""

from typing import Any

import pytest
from nats.aio.client import Client

from kgents_cli.commands import doctor
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.contract.codec import encode
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.runtime import pipeline
from kgents_shared.runtime.config import CommonConfig
from support.build import NOW
from support.nats_server import NatsServer
from support.waiting import eventually

BEAT = Heartbeat(
    text="topology-builder n1 is in sync",
    service="topology-builder",
    instance="n1",
    version="1",
    started_at=NOW,
    state="in_sync",
)


async def test_a_heartbeat_is_believed_until_it_is_old_by_the_servers_clock(
    client: Client, server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.jetstream().publish("kgents.meta.test.topology-builder.n1", encode(BEAT))  # without a time to live
    config: Any = NatsConfig(url=server.url)
    async with Bus(config, name="doctor") as bus:

        async def verdicts() -> dict[str, bool | None]:
            found = doctor._nats(bus, CommonConfig(nats=config), "test", ["topology-builder"])
            return {verdict.text: verdict.is_ok async for verdict in found}

        found = await verdicts()
        assert [text for text, ok in found.items() if ok is False] == ["no collector reports, so nothing is observed"]
        assert any(text.startswith("test: topology-builder n1 is in sync") and ok for text, ok in found.items())
        monkeypatch.setattr(pipeline, "LATE_S", 1.0)

        async def is_late() -> bool:
            return any("may be unable to write" in text and ok is False for text, ok in (await verdicts()).items())

        await eventually(is_late)
