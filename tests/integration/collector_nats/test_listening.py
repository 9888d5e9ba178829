"""Subjects that the configuration names are listened to: by the whole collector, with the permissions made for that."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from kgents_cli.commands.permissions import of_login
from kgents_collector_nats.config import Config, SubjectsConfig
from kgents_collector_nats.source.listening import WINDOW_S, Listening
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.jetstream import last_message
from kgents_shared.contract.codec import ENTITY, PULSE
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.section import InvalidSectionError
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.runtime.config import CommonConfig
from support.nats_login import reload
from support.nats_server import NatsServer
from support.permitted import DENIED, login, permitted, server_of
from support.running import running
from support.service_process import ServiceProcess
from support.streams import provision_streams
from support.waiting import eventually, stays

IDS = 30
"""More than a token may have values."""
SECRET = b"4111-1111"


@asynccontextmanager
async def shop(url: str, **options: str) -> AsyncIterator[Client]:
    """An application that puts the id of each order into its subject."""
    client = await nats.connect(url, **options)

    async def sell() -> None:
        while True:
            for number in range(IDS):
                await client.publish(f"orders.{number}.created", SECRET)
            await client.publish("orders.debug", SECRET)
            await client.publish("stock", SECRET)
            await asyncio.sleep(0.1)

    async with running(sell()):
        yield client
    await client.close()


async def test_subjects_are_shown_with_their_rates_by_a_login_that_may_do_no_more(tmp_path: Path) -> None:
    config = tmp_path / "kgents.yaml"
    config.write_text(
        "nats: {user: limited, password: limited-password}\n"
        "collector-nats: {poll_interval_s: 1, subjects: {include: ['orders.>'], exclude: [orders.debug]}}\n"
    )
    permissions = of_login("collector-nats", CommonConfig(cluster="test"), [], config_file=config)
    assert "orders.>" in {each.subject for each in permissions.subscribe}
    async with server_of(tmp_path / "nats", permitted(permissions)) as server, administrated(server) as bus:
        settings: dict[str, Any] = {"collector_nats__monitor_urls": f'["{server.monitor_url}"]'}
        async with (
            shop(server.url, user="admin", password="admin-password"),  # noqa: S106
            ServiceProcess("collector-nats", server.url, tmp_path, config=config, **settings) as process,
        ):
            ref = Ref("test", "nats_subject", "orders.*.created")
            pulse = await eventually(lambda: heard_throughout(bus, ref))
            subject = await entity(bus, ref)
            assert subject is not None
            assert subject.attributes == {"kgents.nats.heard": True, "kgents.nats.wildcard": True}
            ratio = (pulse.custom["published_bytes_per_sec"] or 0) / (pulse.custom["published_msgs_per_sec"] or 1)
            assert ratio == pytest.approx(len(SECRET))
            assert await entity(bus, Ref("test", "nats_subject", "orders.debug")) is None
            assert await entity(bus, Ref("test", "nats_subject", "stock")) is None
            assert SECRET.decode() not in process.log.read_text()
        assert DENIED not in server.log.read_text()


@asynccontextmanager
async def administrated(server: NatsServer) -> AsyncIterator[Bus]:
    """Our streams, and a bus with all rights to read what is published."""
    async with Bus(login(server.url, "admin"), name="test") as bus:
        await provision_streams(bus)
        yield bus


async def entity(bus: Bus, ref: Ref) -> Entity | None:
    subject = ref.subject("entity", source="nats")
    found = await last_message(await bus.session(), "KGENTS_ENTITY", subject)
    return ENTITY.decode(found.payload, subject=subject) if found is not None else None


async def rated(bus: Bus, ref: Ref) -> ResourcePulse | None:
    subject = ref.subject("pulse", source="nats")
    found = await last_message(await bus.session(), "KGENTS_PULSE", subject)
    pulse = PULSE.decode(found.payload, subject=subject) if found is not None else None
    is_rated = isinstance(pulse, ResourcePulse) and pulse.custom.get("published_msgs_per_sec")
    return pulse if is_rated and isinstance(pulse, ResourcePulse) else None


async def heard_throughout(bus: Bus, ref: Ref) -> ResourcePulse | None:
    """Not the sample of an interval in which it began to listen."""
    pulse = await rated(bus, ref)
    return pulse if pulse is not None and pulse.custom["listened_ratio"] == pytest.approx(1, abs=0.2) else None


async def test_where_too_much_comes_a_part_of_the_time_is_counted(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats") as server, shop(server.url) as client:

        async def flood() -> None:
            while True:
                for _ in range(500):
                    await client.publish("orders.flood", SECRET)
                await client.flush()

        async with Bus(NatsConfig(url=server.url), name="test") as bus, running(flood()):
            listening = Listening(bus, SubjectsConfig(include=["orders.>"], sampled_above_per_s=200), SystemClock())
            async with running(listening.run()):

                async def sampled() -> bool:
                    heard = listening.take()
                    return 0 < heard.listened_s < heard.seconds / 2 and heard.counts["orders.flood"].messages > 0

                await eventually(sampled)


def may_hear(*subjects: str) -> str:
    user = f'user: limited, password: "limited-password", permissions: {{ subscribe: {json.dumps(subjects)} }}'
    return f"authorization {{ users: [{{ {user} }}] }}"


async def test_of_a_subject_that_the_login_may_not_hear_no_rate_is_known_until_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        NatsServer(tmp_path / "nats", config=may_hear("_INBOX_test.>")) as server,
        Bus(login(server.url, "limited"), name="test") as bus,
    ):
        listening = Listening(bus, SubjectsConfig(include=["orders.>"]), SystemClock())
        async with running(listening.run()):
            await eventually(lambda: bus.denials)  # the heartbeat names them
            await stays(lambda: listening.take().listened_s == 0, for_s=2 * WINDOW_S)
            await reload(server, may_hear("_INBOX_test.>", "orders.>"))
            monkeypatch.setattr("kgents_collector_nats.source.listening.REFUSED_S", 0.0)
            await eventually(lambda: listening.take().listened_s > 0 and not bus.denials)


def test_a_filter_that_no_server_takes_is_refused() -> None:
    with pytest.raises(InvalidSectionError, match=r"include\[0\]"):
        Config(subjects=SubjectsConfig(include=["orders.>.x"]))
