"""`kgents up` as a newcomer runs it: on a terminal, of any size, until Ctrl-C."""

import os
import re
import signal
from pathlib import Path

import pytest

from support.kgents_command import PROGRAM
from support.process import command_line, descendants, is_alive
from support.terminal import Terminal, fits
from support.waiting import eventually, stays

pytestmark = pytest.mark.timeout(150)
FIRST_MINUTE = ("--only", "collector-host,topology-builder,health-scorer,gateway")
ONLY_BUILDER = ("--only", "topology-builder")
ENTITIES = re.compile(r"\d+ entities .* healthy")
LEFT = "\x1b[?25h\x1b[?1049l"
"""The cursor is back, and so is what was there before."""


def up(directory: Path, *arguments: str, **options: object) -> Terminal:
    return Terminal([PROGRAM, "up", "--data", str(directory / "data"), *arguments], **options)  # type: ignore[arg-type]


async def test_this_machine_is_seen_alive_and_ctrl_c_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with up(tmp_path, *FIRST_MINUTE) as terminal:
        await eventually(lambda: any("web http://127.0.0.1:" in line for line in terminal.picture[:2]))
        await eventually(lambda: "this machine  found: " in terminal.written)
        await eventually(lambda: any(ENTITIES.match(line) for line in terminal.picture[:3]), within_s=20)
        await eventually(lambda: "host " in terminal.written)
        terminal.resize(40, 10)
        await eventually(lambda: fits(terminal.picture, 40, 10))
        await eventually(lambda: any("web http://127.0.0.1:" in line for line in terminal.picture[:3]))
        started = descendants(terminal.process.pid)
        assert any("run collector-host" in command_line(pid) for pid in started)
        terminal.press("\x03")
        assert terminal.ended() == 130
        await eventually(lambda: LEFT in terminal.written)
        assert not [pid for pid in started if is_alive(pid)]
    assert "Traceback" not in terminal.written


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_leaves_the_terminal_as_it_was(tmp_path: Path, number: signal.Signals) -> None:
    with up(tmp_path, *ONLY_BUILDER) as terminal:
        await eventually(lambda: terminal.picture)
        terminal.process.send_signal(number)
        terminal.ended()
        await eventually(lambda: LEFT in terminal.written)


async def test_why_a_service_refuses_its_configuration_is_found_after_the_picture_is_gone(tmp_path: Path) -> None:
    log = tmp_path / "data" / "services.log"
    with up(tmp_path, *ONLY_BUILDER, environ={"KGENTS__TOPOLOGY_BUILDER__CLUSTERZ": "[]"}) as terminal:
        assert terminal.ended() == 78
        await eventually(lambda: f"its errors are in {log}" in terminal.written.partition(LEFT)[2].replace("\r\n", ""))
    assert "CLUSTERZ" in log.read_text()


async def test_a_terminal_that_moves_no_cursor_gets_lines(tmp_path: Path) -> None:
    with up(tmp_path, *ONLY_BUILDER, environ={"TERM": "dumb", "NO_COLOR": "1"}) as terminal:
        await eventually(lambda: "on this machine" in terminal.written)
        await stays(lambda: "\x1b" not in terminal.written, for_s=2)
        terminal.process.send_signal(signal.SIGTERM)
        terminal.ended()


async def test_without_colours_nothing_is_told_by_colour_alone(tmp_path: Path) -> None:
    with up(tmp_path, *ONLY_BUILDER, environ={"NO_COLOR": "1"}) as terminal:
        await eventually(lambda: terminal.picture)
        assert "\x1b[1m" not in terminal.written
        (builder,) = [
            each for each in descendants(terminal.process.pid) if "run topology-builder" in command_line(each)
        ]
        os.kill(builder, signal.SIGKILL)
        await eventually(lambda: any(" topology-builder ended with exit code -9" in line for line in terminal.picture))
        terminal.process.send_signal(signal.SIGTERM)
        terminal.ended()
