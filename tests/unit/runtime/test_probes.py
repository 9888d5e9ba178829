"""What an orchestrator and Prometheus get to see, over a real socket."""

import logging
import socket
from typing import Any

import aiohttp
import pytest

from kgents_shared.contract.errors import ConfigError
from kgents_shared.runtime.probes import Probes
from kgents_shared.runtime.sections import ProbesConfig
from support.waiting import within

pytestmark = pytest.mark.integration


def probes(port: int | None = 0) -> Probes:
    return Probes(ProbesConfig(port=port), metrics=lambda: b"up 1\n")


async def get(served: Probes, path: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{served.port}{path}") as response:
        body = await response.json() if response.content_type == "application/json" else await response.read()
        return response.status, body


async def test_a_service_without_unmet_conditions_is_ready() -> None:
    served = probes()
    served.ready_when("nats", lambda: None)
    async with served:
        assert await get(served, "/readyz") == (
            200,
            {"ok": True, "conditions": [{"name": "nats", "ok": True, "reason": None}]},
        )


async def test_one_unmet_condition_makes_it_unready_and_is_named() -> None:
    served = probes()
    served.ready_when("nats", lambda: "not connected to nats://127.0.0.1:4222")
    served.ready_when("lease", lambda: None)
    async with served:
        assert await get(served, "/readyz") == (
            503,
            {
                "ok": False,
                "conditions": [
                    {"name": "nats", "ok": False, "reason": "not connected to nats://127.0.0.1:4222"},
                    {"name": "lease", "ok": True, "reason": None},
                ],
            },
        )


async def test_a_condition_is_asked_at_every_probe() -> None:
    served, reasons = probes(), iter(["starting", None])
    served.ready_when("start", lambda: next(reasons))
    async with served:
        assert [(await get(served, "/readyz"))[0] for _ in range(2)] == [503, 200]


async def test_an_unready_service_lives() -> None:
    served = probes()
    served.ready_when("nats", lambda: "not connected")
    async with served:
        assert (await get(served, "/livez"))[0] == 200


async def test_metrics_are_served_as_they_are_rendered() -> None:
    async with probes() as served:
        assert await get(served, "/metrics") == (200, b"up 1\n")


async def test_probes_leave_no_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with probes() as served:
        await get(served, "/livez")
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


async def test_no_port_means_no_probes() -> None:
    async with probes(port=None) as served:
        assert served.port is None


async def test_the_port_is_free_again_at_the_end() -> None:
    async with probes() as served:
        port = served.port
    assert served.port is None
    async with probes(port=port) as served:
        assert served.port == port


async def test_a_port_in_use_is_a_fault_that_says_what_to_set() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"expected to listen on 127\.0\.0\.1:{port}, found: .*probes\.port"):
            async with within(5), probes(port=port):
                pass
