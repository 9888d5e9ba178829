"""A NATS service: what discovery answers, who gets a request, and what a caller sees of a failure."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from nats import connect as connect_plainly
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from kgents_shared.bus.answering import ERROR, ERROR_CODE, REQUESTS_MAX, Answer, Answering, Endpoint, RequestError
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from support.nats_server import NatsServer
from support.running import running
from support.waiting import eventually

STARTED = datetime(2026, 11, 21, 9, tzinfo=UTC)
VERBS = ("PING", "INFO", "STATS")


@pytest.fixture
async def caller(nats: NatsServer) -> AsyncIterator[Client]:
    client = await connect_plainly(nats.url)
    yield client
    await client.close()


def service(bus: Bus, answer: Answer, id_: str = "one") -> Answering:
    endpoint = Endpoint("shout", "test.shout", answer, {"summary": "in capitals"})
    return Answering(
        bus, name="shouter", id_=id_, version="1.2.3", description="loud", endpoints=[endpoint], started=STARTED
    )


async def shout(_subject: str, payload: bytes, _: int) -> bytes:
    return payload.upper()


@asynccontextmanager
async def answering(caller: Client, bus: Bus, answer: Answer = shout, *ids: str) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(service(bus, answer, each).run()) for each in ids or ("one",)]
        for each in ids or ("one",):
            await eventually(partial(is_there, caller, f"$SRV.STATS.shouter.{each}"))
        yield
        for task in started:
            task.cancel()


async def is_there(caller: Client, subject: str) -> bool:
    try:
        await caller.request(subject, timeout=5)
    except NoRespondersError:
        return False
    return True


async def asked(caller: Client, subject: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await caller.request(subject, timeout=10)).data)
    return found


async def test_discovery_answers_what_the_protocol_describes(caller: Client, bus: Bus) -> None:
    who = {"name": "shouter", "id": "one", "version": "1.2.3", "metadata": {}}
    endpoint = {"name": "shout", "subject": "test.shout", "queue_group": "q"}
    no_stats = {
        "num_requests": 0,
        "num_errors": 0,
        "last_error": "",
        "processing_time": 0,
        "average_processing_time": 0,
    }
    expected = {
        "PING": {"type": "io.nats.micro.v1.ping_response", **who},
        "INFO": {
            "type": "io.nats.micro.v1.info_response",
            **who,
            "description": "loud",
            "endpoints": [{**endpoint, "metadata": {"summary": "in capitals"}}],
        },
        "STATS": {
            "type": "io.nats.micro.v1.stats_response",
            **who,
            "started": "2026-11-21T09:00:00Z",
            "endpoints": [{**endpoint, **no_stats}],
        },
    }
    async with answering(caller, bus):
        for verb in VERBS:
            for subject in (f"$SRV.{verb}", f"$SRV.{verb}.shouter", f"$SRV.{verb}.shouter.one"):
                assert await asked(caller, subject) == expected[verb], subject
            assert not await is_there(caller, f"$SRV.{verb}.shouter.two")


async def test_instances_share_the_requests_and_all_of_them_are_found(caller: Client, bus: Bus) -> None:
    async with answering(caller, bus, shout, "one", "two"):
        for number in range(60):
            answer = await caller.request("test.shout", b"a%d" % number, timeout=10)
            assert answer.data == b"A%d" % number
        counts = [
            (await asked(caller, f"$SRV.STATS.shouter.{each}"))["endpoints"][0]["num_requests"]
            for each in ("one", "two")
        ]
        assert sum(counts) == 60
        assert min(counts) > 0
        inbox, found = caller.new_inbox(), set()

        async def note(message: Msg) -> None:
            found.add(json.loads(message.data)["id"])

        await caller.subscribe(inbox, cb=note)
        await caller.publish("$SRV.PING", reply=inbox)
        await eventually(lambda: found == {"one", "two"})


async def test_a_slow_request_holds_no_other_up(caller: Client, bus: Bus) -> None:
    gate, is_begun = asyncio.Event(), False

    async def answer(_subject: str, payload: bytes, _: int) -> bytes:
        nonlocal is_begun
        if payload == b"slow":
            is_begun = True
            await gate.wait()
        return payload

    async with answering(caller, bus, answer):
        slow = asyncio.create_task(caller.request("test.shout", b"slow", timeout=60))
        await eventually(lambda: is_begun)
        assert (await caller.request("test.shout", b"quick", timeout=10)).data == b"quick"
        assert not slow.done()
        gate.set()
        assert (await slow).data == b"slow"


async def test_more_requests_than_can_be_answered_at_once_are_refused(caller: Client, bus: Bus) -> None:
    gate, begun = asyncio.Event(), 0

    async def answer(_subject: str, payload: bytes, _: int) -> bytes:
        nonlocal begun
        begun += 1
        await gate.wait()
        return payload

    async with answering(caller, bus, answer):
        waiting = [asyncio.create_task(caller.request("test.shout", b"", timeout=60)) for _ in range(REQUESTS_MAX)]
        await eventually(lambda: begun == REQUESTS_MAX)
        refused = await caller.request("test.shout", b"", timeout=10)
        assert refused.headers is not None
        assert refused.headers[ERROR_CODE] == "429"
        gate.set()
        assert [(await each).headers for each in waiting] == [None] * REQUESTS_MAX
        assert (await caller.request("test.shout", b"again", timeout=10)).data == b"again"


async def test_a_refusal_says_why_in_headers_and_body(caller: Client, bus: Bus) -> None:
    async def answer(_subject: str, _: bytes, __: int) -> bytes:
        raise RequestError(400, "expected a\nletter", b'{"status":400}')

    async with answering(caller, bus, answer):
        refused = await caller.request("test.shout", b"1", timeout=10)
        assert refused.headers == {ERROR: "expected a letter", ERROR_CODE: "400"}
        assert refused.data == b'{"status":400}'
        stats = (await asked(caller, "$SRV.STATS.shouter"))["endpoints"][0]
        assert (stats["num_requests"], stats["num_errors"]) == (1, 1)
        assert stats["last_error"] == "400: expected a letter"


async def test_the_words_of_a_fault_reach_the_log_alone(
    caller: Client, bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer(_subject: str, _: bytes, __: int) -> bytes:
        raise ValueError("password=hunter2")

    async with answering(caller, bus, answer):
        with caplog.at_level(logging.ERROR):
            failed = await caller.request("test.shout", b"1", timeout=10)
        assert failed.headers == {ERROR: "internal error", ERROR_CODE: "500"}
        assert failed.data == b""
        stats = await asked(caller, "$SRV.STATS.shouter")
        assert "hunter2" not in json.dumps(stats)
        assert stats["endpoints"][0]["num_errors"] == 1
        assert any("hunter2" in str(vars(each)) for each in caplog.records)


async def test_no_request_has_its_answer_written_where_its_sender_may_not_write(caller: Client, bus: Bus) -> None:
    found: list[str] = []

    async def note(message: Msg) -> None:
        found.append(message.subject)

    replies = ("kgents.entity.test.k8s.pod.shop.cart", "$JS.API.STREAM.PURGE.KGENTS_ENTITY", "orders.new")
    for each in replies:
        await caller.subscribe(each, cb=note)
    async with answering(caller, bus):
        for each in replies:
            for subject in ("test.shout", "$SRV.PING", "$SRV.INFO.shouter"):
                await caller.publish(subject, b"a", reply=each)
        assert (await caller.request("test.shout", b"a", timeout=10)).data == b"A"
        stats = (await asked(caller, "$SRV.STATS.shouter"))["endpoints"][0]
        assert (stats["num_requests"], stats["num_errors"]) == (4, 3)
        await caller.flush()
        assert found == []


async def test_times_are_whole_nanoseconds_and_their_average(caller: Client, bus: Bus) -> None:
    async with answering(caller, bus):
        for _ in range(3):
            await caller.request("test.shout", b"a", timeout=10)
        stats = (await asked(caller, "$SRV.STATS.shouter"))["endpoints"][0]
        assert stats["processing_time"] > 0
        assert stats["average_processing_time"] == stats["processing_time"] // 3


async def test_what_came_before_the_end_is_answered(caller: Client, bus: Bus) -> None:
    gate, is_begun = asyncio.Event(), False

    async def answer(_subject: str, payload: bytes, _: int) -> bytes:
        nonlocal is_begun
        is_begun = True
        await gate.wait()
        return payload

    async with answering(caller, bus, answer):
        waiting = asyncio.create_task(caller.request("test.shout", b"last", timeout=60))
        await eventually(lambda: is_begun)
        asyncio.get_running_loop().call_later(0.05, gate.set)
    assert (await waiting).data == b"last"
    assert not await is_there(caller, "test.shout")


async def test_after_an_outage_it_answers_again(nats: NatsServer) -> None:
    async with Bus(NatsConfig(url=nats.url), name="test") as bus, running(service(bus, shout).run()):
        for _ in range(2):
            client = await connect_plainly(nats.url)
            await eventually(partial(is_there, client, "test.shout"))
            assert (await client.request("test.shout", b"a", timeout=10)).data == b"A"
            nats.kill()
            await nats.start()
            await client.close()
