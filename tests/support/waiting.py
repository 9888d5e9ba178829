"""Every wait of a test: until a claim holds, or for as long as one has to. No test waits in a way of its own.

Limits are given in seconds of an idle machine. They grow with how slow the machine is, which is measured before the
first wait and again whenever a wait is about to fail: a busy machine extends a limit instead of failing a test.
"""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar, overload

T = TypeVar("T")

STEPS = 2_000_000
STEPS_TAKE_S = 0.037
"""What these steps of an empty loop take on an idle machine: 3 GHz, Python 3.11."""
SLOWNESS_MAX = 30.0
"""A limit grows no further, so that what never comes true fails on every machine."""
STALE_S = 15.0
"""After which the slowness is measured again before a test, which costs as long as some tests take."""
PAUSE_S = 0.005
ASYNC_PAUSE_S = 0.05
"""Between two tries of a claim that asks a server."""
EVIDENCE_MAX = 500
"""Characters of each value in the message of a wait that failed."""


class Machine:
    """How many times longer work takes here than on the idle machine: never below 1, the worst that was measured."""

    def __init__(self) -> None:
        self.slowness = 0.0
        self._measured_at = 0.0

    def measure_again(self) -> None:
        """Unless that was a moment ago."""
        if time.monotonic() > self._measured_at + STALE_S:
            self.measure()

    def measure(self) -> float:
        started = time.perf_counter()
        for _ in range(STEPS):
            pass
        measured = (time.perf_counter() - started) / STEPS_TAKE_S
        self._measured_at = time.monotonic()
        self.slowness = min(max(self.slowness, measured, 1.0), SLOWNESS_MAX)
        return self.slowness

    def limit_s(self, limit_s: float, *, waited_s: float = 0.0) -> float:
        """A limit as this machine needs it. It is measured again if the wait is over what was known to be needed."""
        if not self.slowness or waited_s >= limit_s * self.slowness:
            self.measure()
        return limit_s * self.slowness


MACHINE = Machine()


@overload
async def eventually(claim: Callable[[], Coroutine[Any, Any, T | None]], within_s: float = 20.0) -> T: ...
@overload
async def eventually(claim: Callable[[], T | None], within_s: float = 20.0) -> T: ...
async def eventually(claim: Callable[[], Any], within_s: float = 20.0) -> Any:
    """Wait until a claim holds, and return its value; fail with the claim and what was last seen."""
    started = time.monotonic()
    while True:
        value = claim()
        pause_s = PAUSE_S
        if inspect.iscoroutine(value):
            value, pause_s = await value, ASYNC_PAUSE_S
        if value:
            return value
        waited_s = time.monotonic() - started
        if waited_s > MACHINE.limit_s(within_s, waited_s=waited_s):
            raise AssertionError(f"did not come true within {within_s:g} s ({_pace()}): {_evidence(claim, value)}")
        await asyncio.sleep(pause_s)


def eventually_blocking(claim: Callable[[], bool], within_s: float = 20.0) -> bool:
    """Whether a claim holds within the limit: for code that has no event loop."""
    started = time.monotonic()
    while not claim():
        waited_s = time.monotonic() - started
        if waited_s > MACHINE.limit_s(within_s, waited_s=waited_s):
            return False
        time.sleep(ASYNC_PAUSE_S)
    return True


async def stays(claim: Callable[[], Any], for_s: float) -> None:
    """A claim of absence: this holds now and for so long, whatever the machine. Fails at the first moment it does not.

    The claim may be asynchronous.
    """
    until = time.monotonic() + for_s
    while True:
        value = claim()
        pause_s = PAUSE_S
        if inspect.iscoroutine(value):
            value, pause_s = await value, ASYNC_PAUSE_S
        assert value, f"did not stay true for {for_s:g} s: {_evidence(claim, value)}"
        if time.monotonic() >= until:
            return
        await asyncio.sleep(pause_s)


async def pause(for_s: float) -> None:
    """Give another program the time that it needs for something that cannot be asked for: longer on a slow machine."""
    MACHINE.measure()
    await asyncio.sleep(MACHINE.limit_s(for_s))


async def stays_silent(awaited: Coroutine[Any, Any, T], for_s: float) -> None:
    """A claim of absence: what is awaited does not end for so long. It is cancelled then."""
    task = asyncio.create_task(awaited)
    done, _ = await asyncio.wait([task], timeout=for_s)
    task.cancel()
    await asyncio.wait([task])
    assert not done, f"expected silence for {for_s:g} s, found {task}"


async def settled(read: Callable[[], Coroutine[Any, Any, T]], for_s: float, within_s: float = 60.0) -> T:
    """Wait until a value has not changed for so long, and return it."""
    value, since = await read(), time.monotonic()

    async def is_settled() -> bool:
        nonlocal value, since
        now = await read()
        if now != value:
            value, since = now, time.monotonic()
        return time.monotonic() - since >= for_s

    await eventually(is_settled, within_s)
    return value


@asynccontextmanager
async def within(limit_s: float) -> AsyncIterator[None]:
    """What is awaited in this block ends within the limit; otherwise it is cancelled and the block fails.

    Raises:
        TimeoutError: it did not end in time.
    """
    loop = asyncio.get_running_loop()
    started = time.monotonic()
    async with asyncio.timeout(None) as timeout:
        timers: list[asyncio.TimerHandle] = []

        def check() -> None:
            waited_s = time.monotonic() - started
            left_s = MACHINE.limit_s(limit_s, waited_s=waited_s) - waited_s
            if left_s > 0:
                timers.append(loop.call_later(left_s, check))
            else:
                timeout.reschedule(loop.time())

        check()
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()


def is_in_time(took_s: float, limit_s: float) -> bool:
    """Whether something took no longer that the program itself has measured, or that only its outcome tells."""
    return took_s <= MACHINE.limit_s(limit_s, waited_s=took_s)


@contextmanager
def lasting_at_most(limit_s: float) -> Iterator[None]:
    """The block takes no longer, by itself: what it calls has a deadline of its own, which is the claim."""
    started = time.monotonic()
    yield
    took_s = time.monotonic() - started
    assert took_s <= MACHINE.limit_s(limit_s, waited_s=took_s), f"took {took_s:.2f} s, expected {limit_s:g} ({_pace()})"


def _pace() -> str:
    return f"on a machine {MACHINE.slowness:.1f} × slower than an idle one"


def _evidence(claim: Callable[[], Any], value: object) -> str:
    """The source of a claim, its last value, and the values of the variables in it."""
    try:
        lines = [inspect.getsource(claim).strip()]
        seen = dict(inspect.getclosurevars(claim).nonlocals)
    except (OSError, TypeError):  # it has no source of its own
        lines, seen = [repr(claim)], {}
    lines += [f"{name} = {repr(found)[:EVIDENCE_MAX]}" for name, found in {"last value": value, **seen}.items()]
    return "\n  ".join(lines)
