"""`kgents up --demo`: the recording of a shop with an incident, replayed again and again, instead of this machine."""

import asyncio
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from kgents_cli.recorded.moved import Moved
from kgents_cli.recorded.player import Pace, player
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract.recording import Recording
from kgents_shared.contract.streams import NAME_BY_SIGNAL

FILE: Final = "demo.kgrec"
"""Made by tools/demo. Its clusters are called `demo-…`, so that every message and every view says what it is."""
NOTICE: Final = "DEMO: a recording of a shop, not your systems"
SERVICES: Final = ("topology-builder", "health-scorer", "alert-notifier", "gateway")
"""What makes something of it. No collector: nothing of this machine is observed."""
PAUSE_S: Final = 8.0
"""Between two times: what was removed is gone everywhere, and judged from new."""


async def play_again_and_again(bus: Bus) -> None:
    """Replay it, remove all of it, and begin again. Never returns."""
    with as_file(files("kgents_cli") / FILE) as file:
        while True:
            await _play(bus, file)
            await asyncio.sleep(PAUSE_S)


async def _play(bus: Bus, file: Path) -> None:
    with file.open("rb") as opened:
        recording = Recording(opened)
        now_ns = (await stream_info(await bus.session(), NAME_BY_SIGNAL["meta"])).now_ns
        pace = Pace(recording.header.started_at, datetime.fromtimestamp(now_ns / 1e9, UTC))
        async with player(bus, Moved(pace.time, lambda cluster: cluster, FILE), pace) as playing:
            await playing.play(recording.rows())
            await playing.remove()
