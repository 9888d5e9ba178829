"""Who owes an answer is blamed for silence alone, not for the time in which this process did not run."""

import asyncio
import socket
import time
from pathlib import Path

import pytest

from kgents_shared.bus.deadline import Deadline
from support.waiting import within

ROOT = Path(__file__).parents[3]
OTHER_TIMERS = {
    "collector-docker/source/watch.py": "when the next read is due",
    "kubernetes/stream.py": "an open watch that is silent is opened again, and no one is blamed",
    "collector-nats/source/listening.py": "how long messages are counted before their rate is told",
    "collector-otel/source/admission.py": "for how long a sender is held back",
    "collector-otel/source/otlp_http.py": "a sender that is slow sends again",
}
"""Timers of collectors that blame no one."""


def test_a_collector_judges_by_no_other_deadline() -> None:
    found = {
        f"{path.relative_to(ROOT / 'services').parts[0]}/{'/'.join(path.parts[-2:])}"
        for path in ROOT.glob("services/collector-*/src/**/*.py")
        if "asyncio.timeout" in path.read_text()
    }
    shared = ROOT.glob("shared/src/kgents_shared/kubernetes/*.py")
    found |= {f"kubernetes/{path.name}" for path in shared if "asyncio.timeout" in path.read_text()}
    assert found == OTHER_TIMERS.keys()


async def test_silence_is_found() -> None:
    async with within(20):
        with pytest.raises(TimeoutError):
            async with Deadline(0.2):
                await asyncio.Event().wait()


async def test_an_answer_that_came_while_this_process_did_not_run_is_taken() -> None:
    here, there = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=here)
    async with Deadline(0.2) as deadline:
        there.send(b"answer\n")
        time.sleep(0.5)  # noqa: ASYNC251 - as a process that is stopped
        assert await reader.readline() == b"answer\n"
    assert deadline.was_late
    writer.close()
    there.close()


async def test_an_answer_of_several_parts_gets_the_time_that_is_left() -> None:
    """After a stop the process runs again, and each part needs a turn of its own."""
    async with Deadline(0.4):
        time.sleep(1.0)  # noqa: ASYNC251 - as above
        for _ in range(10):
            await asyncio.sleep(0)


async def test_silence_is_found_by_a_process_that_is_always_late() -> None:
    async def keep_busy() -> None:
        while True:
            time.sleep(0.05)  # noqa: ASYNC251 - longer than a step
            await asyncio.sleep(0)

    async with within(30):
        busy = asyncio.create_task(keep_busy())
        with pytest.raises(TimeoutError):
            async with Deadline(0.2):
                await asyncio.Event().wait()
        busy.cancel()


async def test_what_fails_by_itself_and_who_cancels_are_left_alone() -> None:
    with pytest.raises(OSError, match="refused"):
        async with Deadline(5):
            raise OSError("refused")

    async def wait() -> None:
        async with Deadline(5):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
