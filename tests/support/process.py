"""A process of a test's own that is made to suffer: killed, stopped in its tracks, let go on."""

import asyncio
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PERIOD_S = 0.1
"""Of a throttled process: it runs for a share of each, as a container with a CPU quota does."""


class OwnProcess:
    """What every server and service of a test can be told. Its `start` sets `_process`."""

    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9: no goodbye to anybody, no flush of anything."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self._signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Wait until it ends by itself; returns the exit code."""
        assert self._process is not None
        code = await asyncio.to_thread(self._process.wait, 30)
        self._process = None
        return code

    def pause(self) -> None:
        """SIGSTOP: the kernel goes on to accept connections, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    @contextmanager
    def throttled(self, share: float) -> Iterator[None]:
        """Let it run for a share of the time, 0..1, while the block lasts."""
        is_over = threading.Event()

        def throttle() -> None:
            while not is_over.wait(share * PERIOD_S):
                self.pause()
                is_over.wait((1 - share) * PERIOD_S)
                self.resume()

        thread = threading.Thread(target=throttle)  # not a task: what the test itself does must not lengthen a pause
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
