"""`make up` as a newcomer types it in a clone: on a terminal that becomes small, and through a pipe."""

import os
import re
import signal
from pathlib import Path

import pytest

from kgents_gateway.http.pages import BUILT
from support.kgents_command import run_kgents
from support.process import descendants, is_alive, spawn
from support.terminal import HOME, Terminal, fits
from support.waiting import MACHINE, eventually

pytestmark = [
    pytest.mark.timeout(150),
    pytest.mark.skipif(not (BUILT / "index.html").exists(), reason="`make web` was not run: `make up` would build it"),
]
MAKE = ["make", "-C", str(Path(__file__).parents[2]), "--no-print-directory", "up"]
FIRST_S = 20.0
"""Until a newcomer sees the first entities."""
ADDRESS = re.compile(r"nats://127\.0\.0\.1:\d+")
ENTITIES = re.compile(r"^\d+ entities", re.MULTILINE)


async def test_this_machine_is_seen_within_twenty_seconds_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    environ = {"KGENTS__DATA_DIR": str(tmp_path / "data")}
    with Terminal(MAKE, environ=environ) as terminal:
        url = (await eventually(lambda: ADDRESS.search(terminal.written))).group()

        async def host() -> str:
            return (await run_kgents("get", "host", "-o", "name", "--nats", url)).out

        await eventually(lambda: ENTITIES.search("\n".join(terminal.picture)), within_s=FIRST_S)
        await eventually(host)
        drawn = terminal.written.count(HOME)
        await eventually(lambda: terminal.written.count(HOME) > drawn)  # it is drawn again and again
        terminal.resize(50, 12)
        await eventually(lambda: fits(terminal.picture, 50, 12))
        started = descendants(terminal.process.pid)
        terminal.press("\x03")
        assert terminal.ended() != 0
        await eventually(lambda: not [pid for pid in started if is_alive(pid)])
    assert "Traceback" not in terminal.written


async def test_through_a_pipe_it_is_lines(tmp_path: Path) -> None:
    log = tmp_path / "lines"
    with log.open("wb") as out:
        environ = {**os.environ, "KGENTS__DATA_DIR": str(tmp_path / "data")}
        process = spawn(MAKE, stdout=out, stderr=out, env=environ, start_new_session=True)
        await eventually(lambda: re.search(r"\bhost \S+\s+(running|appeared)", log.read_text()), within_s=FIRST_S + 10)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it, to the whole group
        process.wait(MACHINE.limit_s(30))
    assert "\x1b[" not in log.read_text()
    assert "Traceback" not in log.read_text()
