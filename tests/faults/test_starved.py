"""A collector that stands still in the middle of a poll blames no one; a target that stands still is found."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from nats.aio.msg import Msg

from kgents_shared.bus.client import Bus
from kgents_shared.contract.subjects import parse
from support.nats_server import NatsServer
from support.process import OwnProcess
from support.proxy import Proxy
from support.redis_server import RedisServer
from support.service_process import ServiceProcess
from support.truth import in_sync
from support.waiting import MACHINE, eventually, pause

pytestmark = pytest.mark.timeout(240)

DEADLINE_S = MACHINE.limit_s(1.5)


class Watched:
    """All that a collector reports, from now on."""

    def __init__(self, bus: Bus, service: str) -> None:
        self.messages: list[dict[str, Any]] = []
        self._bus = bus
        self._service = service

    async def begin(self) -> None:
        await (await self._bus.session()).subscribe("kgents.>", self._take)

    async def _take(self, message: Msg) -> None:
        signal, tokens = message.subject.split(".")[1], parse(message.subject).tokens
        body = json.loads(message.data or b"{}")
        is_heartbeat = body.get("type") == "heartbeat" and tokens.get("service") == self._service
        if signal == "pulse" or is_heartbeat:
            self.messages.append({"signal": signal, **body})

    @property
    def last_reason(self) -> str:
        return str(self.of("meta")[-1].get("reason", ""))

    def of(self, signal: str) -> Sequence[dict[str, Any]]:
        return [each for each in self.messages if each["signal"] == signal]


async def starve(collector: OwnProcess, proxy: Proxy, words: bytes) -> None:
    """Stop it while it waits for an answer, until the answer has come and any deadline has passed."""
    proxy.half_open_at(words)
    await eventually(lambda: not proxy.is_answering)
    collector.pause()
    proxy.flow()
    await pause(2)
    collector.resume()


async def test_a_database_is_not_called_frozen_by_a_collector_that_stood_still(
    server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    async with RedisServer(tmp_path / "redis") as redis, Proxy(redis.port) as proxy:
        target = {
            "port": int(proxy.url.rpartition(":")[2]), "interval_s": 1, "timeout_s": DEADLINE_S,
            "connect_timeout_s": DEADLINE_S, "breaker_pause_s": 1,
        }  # fmt: skip
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"collector-db": {"redis": {"cache": target}}}))
        watched = Watched(bus, "collector-db")
        async with ServiceProcess("collector-db", server.url, tmp_path, config=config) as collector:
            await in_sync(bus, "collector-db")
            await watched.begin()
            await starve(collector, proxy, b"INFO")
            before = len(watched.of("pulse"))
            await eventually(lambda: len(watched.of("pulse")) > before + 2)
            assert {(each["phase"], each.get("cause", "")) for each in watched.of("pulse")} == {("healthy", "")}

            redis.pause()
            await eventually(lambda: watched.of("pulse")[-1].get("cause") == "frozen")
            redis.resume()
            await eventually(lambda: watched.of("pulse")[-1]["phase"] == "healthy")


async def test_a_nats_server_is_not_called_silent_by_a_collector_that_stood_still(
    server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    async with NatsServer(tmp_path / "observed") as observed, Proxy(observed.monitor_port) as proxy:
        url = proxy.url.replace("nats://", "http://")
        section = {"monitor_urls": [url], "poll_interval_s": DEADLINE_S + 0.5, "request_timeout_s": DEADLINE_S}
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"collector-nats": section}))
        watched = Watched(bus, "collector-nats")
        async with ServiceProcess("collector-nats", server.url, tmp_path, config=config) as collector:
            await in_sync(bus, "collector-nats")
            await watched.begin()
            await starve(collector, proxy, b"GET /varz")
            before = len(watched.of("pulse"))
            await eventually(lambda: len(watched.of("pulse")) > before, 60)
            await eventually(lambda: watched.of("meta"))
            assert {each.get("reason", "") for each in watched.of("meta")} == {""}

            observed.pause()
            await eventually(lambda: "no answer within" in watched.last_reason, 60)
            observed.resume()
            await eventually(lambda: watched.last_reason == "", 60)
