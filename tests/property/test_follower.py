"""The law of an input's clock: never ahead of the server, never behind what was read, whatever waits or is set."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kgents_shared.runtime.follower import Input, _Batch
from support.clock import FakeClock

NS = 1_000_000_000
START_NS = 1_700_000_000 * NS

steps = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=20)


class Message:
    def __init__(self, time_ns: int) -> None:
        self.time_ns = time_ns


class Machine:
    """All that an input asks of its context."""

    def __init__(self) -> None:
        self.clock = FakeClock()


async def no_batches() -> AsyncGenerator[Any, None]:
    raise AssertionError("these tests hand over batches themselves")
    yield


@given(steps=steps)
def test_an_inputs_clock_lies_between_what_was_read_and_the_servers(steps: list[tuple[int, int]]) -> None:
    """Each step: so many seconds pass, then a message is read that has waited for so many seconds."""
    machine = Machine()
    found: Input[Any] = Input(machine, "KGENTS_PULSE", no_batches, asyncio.Event())  # type: ignore[arg-type]
    found._note(_Batch([Message(START_NS - 10**6 * NS)], [], caught_up=True, position=None))
    assert found.server_ns() is None, "a snapshot's messages say nothing of the time"
    now_ns, read_ns = START_NS, 0
    for passed_s, waited_s in steps:
        machine.clock.advance(passed_s)
        now_ns += passed_s * NS
        if (before := found.server_ns()) is not None:
            assert read_ns <= before <= now_ns
        read_ns = max(read_ns, now_ns - waited_s * NS)
        found._note(_Batch([Message(read_ns)], [], caught_up=False, position=None))
        assert found.server_ns() == read_ns
