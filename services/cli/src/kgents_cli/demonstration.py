"""`kgents up --demo`: the recording of a shop with an incident, replayed again and again, instead of this machine."""

import asyncio
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from kgents_cli.recorded.moved import Moved
from kgents_cli.recorded.player import Pace, player
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.attestation import BUILDER, SCORER
from kgents_shared.contract.codec import META
from kgents_shared.contract.meta import READY_STATES, Heartbeat
from kgents_shared.contract.recording import Recording
from kgents_shared.contract.streams import NAME_BY_SIGNAL

FILE: Final = "demo.kgrec"
"""Made by tools/demo. Its clusters are called `demo-…`, so that every message and every view says what it is."""
NOTICE: Final = "DEMO: a recording of a shop, not your systems"
SERVICES: Final = ("topology-builder", "health-scorer", "alert-notifier", "gateway")
"""What makes something of it. No collector: nothing of this machine is observed."""
SETTINGS: Final = {"KGENTS__ALERT_NOTIFIER__GROUPING__CALM_S": "20"}
"""Of the services: the incident is resolved before it comes again, a minute later; else it would be the same one."""
PAUSE_S: Final = 8.0
"""Between two times: what was removed is gone everywhere, and judged from new."""
STARTING_S: Final = 60.0
"""For how long it waits for the services, so that what it shows is seen from its beginning."""


async def play_again_and_again(bus: Bus) -> None:
    """Wait for the services, then replay it, remove all of it, and begin again. Never returns."""
    with suppress(TimeoutError):
        async with asyncio.timeout(STARTING_S):
            await _services_are_ready(bus)
    with as_file(files("kgents_cli") / FILE) as file:
        while True:
            await _play(bus, file)
            await asyncio.sleep(PAUSE_S)


async def _services_are_ready(bus: Bus) -> None:
    """Return when those that judge have reported that they do, or would if there were something."""
    ready: set[str] = set()
    news = StateView(bus, META, NAME_BY_SIGNAL["meta"], [subjects.pattern("meta")]).follow()
    async with aclosing(news):
        async for changes in news:
            beats = [each.new for each in changes.changes if isinstance(each.new, Heartbeat)]
            ready |= {each.service for each in beats if each.state in READY_STATES}
            if {BUILDER, SCORER} <= ready:
                return


async def _play(bus: Bus, file: Path) -> None:
    with file.open("rb") as opened:
        recording = Recording(opened)
        now_ns = (await stream_info(await bus.session(), NAME_BY_SIGNAL["meta"])).now_ns
        pace = Pace(recording.header.started_at, datetime.fromtimestamp(now_ns / 1e9, UTC))
        async with player(bus, Moved(pace.time, lambda cluster: cluster, FILE), pace) as playing:
            await playing.play(recording.rows())
            await playing.remove()
