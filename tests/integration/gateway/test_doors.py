"""What all doors have in common when a question is slow, fails, or cannot be answered yet."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
import pytest

from kgents_gateway.mcp.tools import TOOLS
from kgents_gateway.questions import QUESTIONS
from kgents_shared.bus.client import Bus
from support.gateway import Running, serving
from support.state import make_topology, publish
from support.waiting import eventually

Door = Callable[[Bus, Running, str], Coroutine[Any, Any, str]]


async def http(_: Bus, gateway: Running, question: str) -> str:
    response = await gateway.client.get(f"/api/v1/{question}")
    return f"{response.status_code} {response.text}"


async def nats(bus: Bus, _: Running, question: str) -> str:
    answer = await (await bus.session()).request(f"world.v1.{question}")
    return f"{(answer.headers or {}).get('Nats-Service-Error-Code', 200)} {answer.headers} {answer.data.decode()}"


async def mcp(_: Bus, gateway: Running, question: str) -> str:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": question}}
    response = await gateway.client.post("/mcp", json=call)
    assert response.status_code == 200
    return f"{500 if response.json()['result']['isError'] else 200} {response.text}"


DOORS: tuple[Door, ...] = (http, nats, mcp)


def replaced(monkeypatch: pytest.MonkeyPatch, name: str, ask: Callable[..., Awaitable[Any]]) -> None:
    """Let a question do something else, as a fault would."""
    question = msgspec.structs.replace(QUESTIONS[name], ask=ask)
    monkeypatch.setitem(QUESTIONS, name, question)
    monkeypatch.setitem(TOOLS, name, question)


@pytest.mark.parametrize("door", DOORS)
async def test_the_words_of_a_fault_stay_in_the_log(bus: Bus, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("postgres://admin:geheim@db")

    replaced(monkeypatch, "alerts", fail)
    async with serving(bus) as gateway:
        answer = await door(bus, gateway, "alerts")
        assert answer.startswith("500"), answer
        assert "the gateway failed; its log says why" in answer
        assert "geheim" not in answer
        assert "RuntimeError" not in answer
        stats = await (await bus.session()).request("$SRV.STATS.kgents-gateway")
        assert b"geheim" not in stats.data


@pytest.mark.parametrize("door", DOORS)
async def test_a_slow_question_delays_no_other(bus: Bus, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    going_on, asked = asyncio.Event(), 0

    async def wait(*_: object) -> list[str]:
        nonlocal asked
        asked += 1
        await going_on.wait()
        return ["at last"]

    replaced(monkeypatch, "alerts", wait)
    async with serving(bus) as gateway, asyncio.TaskGroup() as tasks:
        slow = [tasks.create_task(each(bus, gateway, "alerts")) for each in DOORS for _ in range(4)]
        await eventually(lambda: asked)
        for _ in range(3):
            assert (await door(bus, gateway, "health")).startswith("200")
        assert not any(each.done() for each in slow)
        going_on.set()
    assert all("at last" in each.result() for each in slow)
    assert asked == 1  # one answer about now is made for all who wait for it


async def test_until_everything_is_read_each_door_asks_to_come_back(bus: Bus, gateway: Running) -> None:
    await publish(bus, make_topology("a"))
    current = gateway.gateway._current
    await eventually(lambda: len(current.fold) == 1)
    current._recent = None  # as after a stream was made again, until its snapshot is read
    response = await gateway.client.get("/api/v1/health")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    detail = response.json()["detail"]
    for question in ("health", "topology", "pipeline", "search"):
        payload = json.dumps({"q": "a"} if question == "search" else {}).encode()
        answer = await (await bus.session()).request(f"world.v1.{question}", payload)
        assert (answer.headers or {})["Nats-Service-Error-Code"] == "503", question
        assert json.loads(answer.data)["detail"] == detail
    assert "Not available now: the streams are being read" in await mcp(bus, gateway, "health")
