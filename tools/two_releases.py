"""`python -m two_releases COMMIT`: services of another commit and of this one at work on the same streams.

The streams are made by the other commit, then brought up to date by this one. topology-builder and health-scorer of
both run as two instances each: one writes, the other stands by, and takes over when the first is killed, both ways.
After each change of hands an entity that changes is to be in the topology and judged, in messages that
this commit can read; and no service may have met a message that it cannot read. Prints a line for each step.
"""

import asyncio
import subprocess
import sys
import tarfile
import tempfile
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path
from typing import Final

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.contract.entity import Ref
from kgents_shared.runtime.config import process_environ
from release.closure import ROOT
from support.build import make_entity
from support.nats_server import NatsServer
from support.service_process import ServiceProcess
from support.truth import Truth, dead_letters, health, heartbeat, topology
from support.waiting import eventually

SERVICES: Final = ("topology-builder", "health-scorer")
OLD, NEW = "old", "new"
WITHIN_S: Final = 60.0
LEVELS: Final = {"running": "healthy", "failed": "critical"}


def unpacked(commit: str, folder: Path) -> str:
    """The sources of a commit, as a search path for modules."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout  # noqa: S603, S607 - git as found
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return ":".join(map(str, [folder / "shared/src", *sorted(folder.glob("services/*/src"))]))


def provisioned(url: str, sources: str) -> None:
    """The streams, by the modules of a search path."""
    environ = {**process_environ(), **({"PYTHONPATH": sources} if sources else {})}
    command = [sys.executable, "-m", "kgents_cli", "provision", "--nats", url]
    subprocess.run(command, env=environ, check=True, capture_output=True)  # noqa: S603 - what is above


class Trial:
    """Both releases on one server."""

    def __init__(self, bus: Bus, truth: Truth) -> None:
        self._bus, self._truth = bus, truth
        self._number = 0

    async def in_state(self, instance: str, state: str) -> None:
        """Both services of an instance say so."""

        async def claim() -> bool:
            beats = [await heartbeat(self._bus, service, instance) for service in SERVICES]
            return all(beat is not None and beat.state == state for beat in beats)

        await eventually(claim, WITHIN_S)

    async def changes_are_seen(self) -> None:
        """An entity that appears, and one that fails or is well again, are in the topology, and judged.

        Each fails once: one that does so again and again stays critical while it runs.
        """
        self._number += 1
        status, name = "failed" if self._number % 2 else "running", f"changed{(self._number + 1) // 2}"
        changed, appeared = make_entity(name, status=status), make_entity(f"appeared{self._number}")
        await self._truth.say(changed, appeared)
        expected: dict[Ref, str] = {each.ref: each.status for each in self._truth.entities.values()}

        differing: list[str] = []

        async def claim() -> bool:
            shown, judged = await topology(self._bus), await health(self._bus)
            differing[:] = [
                f"{ref}: expected {now}, found {shown.get(ref)}, {judged.get(ref)}"
                for ref, now in expected.items()
                if ref not in shown or shown[ref].status != now or ref not in judged or judged[ref].level != LEVELS[now]
            ]
            return not differing

        try:
            await eventually(claim, WITHIN_S)
        except AssertionError:
            beats = [(each, await heartbeat(self._bus, each, name)) for each in SERVICES for name in (OLD, NEW)]
            raise SystemExit("\n".join([*differing, *(f"{each}: {beat}" for each, beat in beats)])) from None
        if found := [each for service in SERVICES for each in await dead_letters(self._bus, service)]:
            raise SystemExit(f"expected that all can be read, found {found}")


async def main(commit: str) -> None:
    """Run it; ends with an error where something is not as it should be."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kgents-releases-")))
        sources = {OLD: unpacked(commit, folder / "sources"), NEW: ""}
        server = await stack.enter_async_context(NatsServer(folder / "nats"))
        for name in (OLD, NEW):
            provisioned(server.url, sources[name])
        say(f"the streams of {commit} are brought up to date")
        bus = await stack.enter_async_context(Bus(NatsConfig(url=server.url), name="trial"))
        truth = Truth(bus)
        running = asyncio.create_task(truth.run())
        stack.callback(running.cancel)
        trial = Trial(bus, truth)
        processes = {
            name: [ServiceProcess(each, server.url, folder, instance=name, sources=path) for each in SERVICES]
            for name, path in sources.items()
        }
        for each in (*processes[OLD], *processes[NEW]):
            stack.callback(each.kill)

        def start(name: str) -> None:
            for each in processes[name]:
                each.start()

        start(OLD)
        await trial.in_state(OLD, "in_sync")
        start(NEW)
        await trial.in_state(NEW, "standby")
        await trial.changes_are_seen()
        say("old writes, new stands by")
        for writing, waiting in ((OLD, NEW), (NEW, OLD), (OLD, NEW)):
            for each in processes[writing]:
                each.kill()
            await trial.in_state(waiting, "in_sync")
            await trial.changes_are_seen()
            start(writing)
            await trial.in_state(writing, "standby")
            await trial.changes_are_seen()
            say(f"{writing} was killed, {waiting} writes, {writing} stands by")


def say(text: str) -> None:
    """To the person who started it."""
    print(text, flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
