"""How long a service keeps its event loop: the longest computation during which nothing else of it could run.

A lease is renewed beside the work, so no computation may take long. What counts is the CPU time of the loop's own
thread: a process that is stopped, or on a machine that gives it no CPU, computes nothing meanwhile. So time that is
spent waiting in the kernel, as for a disk, does not count either.

A profiling timer of the kernel interrupts the process each time that it has used SAMPLE_S of CPU, and never while it is
idle. The first interruption in a computation reads the thread's clock and writes a byte, which the loop reads at its
next turn. So it costs nothing at rest and 0.1 % of a busy core, and finds each computation up to SAMPLE_S too short;
beside busy processes up to some ticks of the kernel, by which the timer counts.
"""

import asyncio
import signal
import socket
import time
from collections import deque
from types import FrameType, TracebackType
from typing import Final, Self

from kgents_shared.contract.meta import STALL_S

SAMPLE_S: Final = 0.0125
LATELY_S: Final = 300.0
"""How long a stall is reported, in seconds: a service that stalled at its start is not reported as slow for days."""
_KEPT: Final = 64


class StallMeter:
    """Measures the running event loop of the main thread, one at a time, while it is entered as a context."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        """Since the start, in seconds of CPU."""
        self.count = 0
        """Stalls: computations of more than STALL_S."""
        self._lately: deque[tuple[float, float]] = deque(
            maxlen=_KEPT
        )  # when, how long; each shorter than the one before
        self._began_s: float | None = None

    def __enter__(self) -> Self:
        self._here, self._there = socket.socketpair()
        for each in (self._here, self._there):
            each.setblocking(False)
        asyncio.get_running_loop().add_reader(self._here, self._on_turn)
        signal.signal(signal.SIGPROF, self._on_sample)
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)  # one may be on its way, and would end the process
        asyncio.get_running_loop().remove_reader(self._here)
        self._here.close()
        self._there.close()

    def lately_s(self, now_s: float) -> float:
        """The longest of the last LATELY_S; `now_s` is the loop's time."""
        while self._lately and self._lately[0][0] < now_s - LATELY_S:
            self._lately.popleft()
        return self._lately[0][1] if self._lately else 0.0

    def _on_sample(self, _number: int, _frame: FrameType | None) -> None:
        if self._began_s is None:
            self._began_s = time.thread_time()
            self._there.send(b"\0")

    def _on_turn(self) -> None:
        self._here.recv(1)
        if self._began_s is not None:
            self._note(time.thread_time() - self._began_s, asyncio.get_running_loop().time())
            self._began_s = None

    def _note(self, took_s: float, now_s: float) -> None:
        self.longest_s = max(self.longest_s, took_s)
        self.count += took_s > STALL_S
        while self._lately and self._lately[-1][1] <= took_s:
            self._lately.pop()
        self._lately.append((now_s, took_s))
