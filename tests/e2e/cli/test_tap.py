"""`kgents tap` on a real server: what is published by an application, without what it holds."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client

from support.kgents_command import PROGRAM, Kgents, result_of, run_kgents, start_kgents
from support.nats_server import NatsServer
from support.terminal import Terminal
from support.waiting import eventually, within

SECRET = "4111-1111"


@asynccontextmanager
async def orders(client: Client, messages: int, pause_s: float) -> AsyncIterator[None]:
    """An application that publishes so many messages at once, again and again."""

    async def publish() -> None:
        while True:
            for number in range(messages):
                await client.publish(f"orders.created.{number % 7}", SECRET.encode(), headers={"Card": SECRET})
            await client.flush()
            await asyncio.sleep(pause_s)

    task = asyncio.create_task(publish())
    try:
        yield
    finally:
        task.cancel()


async def read(process: asyncio.subprocess.Process, until: bytes) -> str:
    assert process.stdout is not None
    seen = b""
    async with within(20):
        while until not in seen:
            seen += await process.stdout.readline()
    return seen.decode()


async def test_subject_size_and_headers_are_shown_and_no_payload(server: NatsServer, client: Client) -> None:
    async with orders(client, 1, 0.05):
        process = await start_kgents("tap", "orders.>", "--nats", server.url)
        seen = await read(process, b"\n")
        process.send_signal(signal.SIGINT)
        code, rest, err = await result_of(process)
    assert seen.rstrip().endswith("orders.created.0  9 B  headers Card")
    assert SECRET not in seen + rest + err
    assert (code, err.strip()) == (130, "listening to orders.>; Ctrl-C ends it")


async def test_of_more_than_can_be_read_some_is_shown_with_the_rate(server: NatsServer, client: Client) -> None:
    async with orders(client, 500, 0.1):
        text, as_json = [
            await start_kgents("tap", "orders.>", "--rate", "5", *more, "--nats", server.url)
            for more in (("--for", "4s"), ("-o", "json"))
        ]
        seen = await read(as_json, b'"seen"')
        as_json.send_signal(signal.SIGINT)
        await result_of(as_json)
        code, out, err = await result_of(text)
    *messages, sampled = map(json.loads, seen.splitlines())
    assert all(each["size_bytes"] == 9 and each["headers"] == ["Card"] for each in messages)
    assert sampled["shown"] == 5 < sampled["seen"]
    assert SECRET not in seen + out
    assert code == 0
    assert "showing 5 of " in err
    assert len(out.splitlines()) <= 5 * err.count("showing") + 10


async def test_payloads_are_shown_on_a_terminal_and_refused_elsewhere(
    server: NatsServer, client: Client, kgents: Kgents
) -> None:
    refused = await kgents("tap", "orders.>", "--payload", "--nats", server.url)
    assert (refused.code, refused.out) == (2, "")
    assert "expected a terminal" in refused.err
    async with orders(client, 1, 0.05):
        with Terminal([PROGRAM, "tap", "orders.>", "--payload", "--nats", server.url]) as terminal:
            await eventually(lambda: terminal.written.count(SECRET) > 2)
            terminal.press("\x03")
            assert await asyncio.to_thread(terminal.ended) == 130
    assert "Traceback" not in terminal.written


async def test_a_subject_that_the_login_may_not_hear_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KGENTS__NATS__USER", "reader")
    monkeypatch.setenv("KGENTS__NATS__PASSWORD", "pass")
    reader = '{ user: reader, password: pass, permissions: { subscribe: ["_INBOX_cli.>"] } }'
    async with NatsServer(tmp_path / "closed", config=f"authorization {{ users: [{reader}] }}") as closed:
        found = await run_kgents("tap", "orders.>", "--nats", closed.url)
    assert found.code == 1
    assert "expected a login that may subscribe to orders.>" in found.err
    assert "try: " in found.err


async def test_a_flood_is_listened_to_for_a_part_of_each_second(server: NatsServer, client: Client) -> None:
    async with orders(client, 30_000, 0.0):
        process = await start_kgents("tap", "orders.>", "--rate", "1", "-o", "json", "--nats", server.url)
        seen = await read(process, b'"seen":2')
        process.send_signal(signal.SIGINT)
        assert (await result_of(process)).code == 130
    assert json.loads(seen.splitlines()[-1])["shown"] == 1
