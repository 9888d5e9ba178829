"""The space of file systems and the heat of sensors, asked through processes that may hang in place of this one."""

import asyncio
import errno
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Final

from kgents_collector_host.sample import Space
from kgents_shared.bus.deadline import Deadline
from kgents_shared.runtime.clock import Clock

ANSWER_S: Final = 2.0
"""A file system on a disk that spins up answers later, and a minute later again."""
HANGING_MAX: Final = 2
"""Processes that wait for a dead mount at a time; until one answers, nothing that may hang is asked."""
AGAIN_S: Final = (60.0, 3600.0)
"""After how many seconds a mount that did not answer is asked again: at first, and at most."""
END_S: Final = 1.0
"""A process that hangs nowhere ends in a moment."""

_PROGRAM: Final = Path(__file__).with_name("space_process.py")


class Spaces:
    """Asks for one mount point at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._process: Process | None = None
        self._hanging: list[Process] = []
        self._silent: dict[str, tuple[float, float]] = {}  # question → when to ask again, and the pause before that

    async def ask(self, point: str) -> Space | str:
        """The space at a mount point, or why it is not known."""
        answer = await self._ask("space", point)
        return answer if isinstance(answer, str) else _space(answer)

    async def heat(self, root: str) -> float | None:
        """The temperature of the hottest sensor in degrees Celsius; None: there is none, or it does not answer."""
        answer = await self._ask("heat", root)
        return int(answer) / 1_000 if isinstance(answer, bytes) and answer.strip().lstrip(b"-").isdigit() else None

    async def _ask(self, question: str, point: str) -> bytes | str:
        now_s = self._clock.monotonic_s()
        at_s, pause_s = self._silent.get(f"{question} {point}", (0.0, 0.0))
        if now_s < at_s:
            return _no_answer(pause_s)
        self._hanging = [each for each in self._hanging if each.returncode is None]
        if len(self._hanging) >= HANGING_MAX:
            return "not asked: others do not answer"
        try:
            async with Deadline(ANSWER_S):
                answer = await self._exchange(question, point)
        except TimeoutError:
            self._give_up()
            pause_s = min(2 * pause_s or AGAIN_S[0], AGAIN_S[1])
            self._silent[f"{question} {point}"] = now_s + pause_s, pause_s
            return _no_answer(pause_s)
        except OSError as error:
            self._give_up()
            return f"cannot be asked: {error.strerror or error}"
        self._silent.pop(f"{question} {point}", None)
        return answer

    async def close(self) -> None:
        """End the process. One that hangs ends when its mount answers, and is not waited for."""
        self._give_up()
        with suppress(TimeoutError):
            async with Deadline(END_S):
                for each in self._hanging:
                    await each.wait()

    async def _exchange(self, question: str, point: str) -> bytes:
        process = self._process
        if process is None or process.returncode is not None:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-S", str(_PROGRAM), stdin=PIPE, stdout=PIPE, stderr=DEVNULL
            )
            self._process = process
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both are pipes
        process.stdin.write(f"{question} {os.fsencode(point).hex()}\n".encode())
        await process.stdin.drain()
        return await process.stdout.readline()

    def _give_up(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            self._hanging.append(process)


def _no_answer(pause_s: float) -> str:
    return f"does not answer; it is asked again after {pause_s:.0f} s"


def _space(answer: bytes) -> Space | str:
    fields = answer.split()
    if fields[:1] == [b"error"]:
        number = int(fields[1])
        return f"cannot be read: {errno.errorcode.get(number, number)}, {os.strerror(number)}"
    if len(fields) != 4:
        return "cannot be asked: its process ended"
    used, available, inodes, inodes_free = (max(int(each), 0) for each in fields)
    return Space(used + available, used, available, inodes, inodes_free)
