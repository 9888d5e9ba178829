"""`python -m accuracy.record SEED FILE`: run the shop, do to it what the seed says, and record what is published.

Real processes: four services with the SDK, each with a limit of CPU, PostgreSQL, Redis, and `kgents up` with
collector-otel, collector-db and topology-builder on its own NATS. The collector's window is two seconds, and stands for
a minute when it is replayed: so half an hour of recording gives hours of traffic, of a service with a thirtieth of
these requests a second. Several can run beside one another.
"""

import argparse
import asyncio
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from msgspec import Raw

from accuracy.heard import Heard
from accuracy.injected import EACH, KINDS, Injected, plan
from accuracy.recording import Recording, Window, write
from accuracy.scheduled import Scheduled, is_disturbed
from accuracy.site import Site, site
from support.waiting import eventually

LASTS: Final = 4
"""Windows of each episode."""
SETTLES: Final = 2
"""Windows after it that are not recorded. The next one shows the services at rest."""
WARM: Final = 5
"""Windows at the start that are not recorded: connections are made, addresses learnt."""
AGAIN: Final = 10
"""An episode that other work on the machine has disturbed is done again after so many others."""
MINUTES: Final = 40.0


async def record(seed: int, directory: Path, file: Path, minutes: float) -> None:
    """Write what is recorded, also if it ends badly: each episode stands for itself."""
    ends_at_s = time.monotonic() + 60 * minutes
    entities: list[Raw] = []
    windows: list[Window] = []
    disturbed = 0
    try:
        async with site(directory) as (found, heard):
            await eventually(lambda: heard.is_whole, 120)
            await heard.pass_over(WARM)
            entities += [Raw(each) for _, each in sorted(heard.entities.items())]
            async for each in episodes(seed, found, heard, ends_at_s):
                windows += each
                disturbed += not each
    finally:
        write(Recording(seed, disturbed, entities, windows), file)


async def episodes(seed: int, found: Site, heard: Heard, ends_at_s: float) -> AsyncIterator[list[Window]]:
    """The windows of one episode after the other, with one of the services at rest before; none of a disturbed one."""
    left = deque(enumerate(plan(seed)))
    scheduled = Scheduled(found.shop)
    while left and ends_at_s > time.monotonic():
        episode, (what, load) = left.popleft()
        windows, is_kept = await _episode(found, heard, scheduled, episode, what, load)
        done = "recorded" if is_kept else "disturbed"
        used = f", {windows[-1].used:.0%} of its limit used" if what.setting == "cpu" else ""
        waited = sum(each.waited for each in windows) / len(windows)
        print(f"{episode:3} {done} {what}, at {load:g} requests a second, waited {waited:.0%}{used}", flush=True)
        if is_kept:
            yield windows
        else:
            left.insert(AGAIN, (episode, (what, load)))
            yield []


async def _episode(
    found: Site, heard: Heard, scheduled: Scheduled, episode: int, what: Injected, load: float
) -> tuple[list[Window], bool]:
    """Do it once; also whether nothing else has disturbed it."""
    await found.set_load(load)
    await heard.pass_over(SETTLES)
    scheduled.share()
    _, pulses = await heard.window()
    at_rest = scheduled.share()
    goes_on = await found.begin(what)
    windows, shares = [], []
    for _ in range(LASTS):
        topology, during = await heard.window()
        shares.append(scheduled.share(what))
        windows.append(Window(load, _raws(during), episode, what, _raws(topology), shares[-1].waited, shares[-1].used))
    await found.end(what, goes_on)
    if not is_disturbed(None, [at_rest]):
        windows.insert(0, Window(load, _raws(pulses), waited=at_rest.waited))
    return windows, not is_disturbed(what, shares)


def _raws(messages: list[bytes]) -> list[Raw]:
    return [Raw(each) for each in messages]


def main() -> None:
    """Record."""
    parser = argparse.ArgumentParser(prog="python -m accuracy.record", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"at most; all are {EACH * len(KINDS)} episodes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(record(arguments.seed, Path(directory), arguments.file, arguments.minutes))


if __name__ == "__main__":
    main()
