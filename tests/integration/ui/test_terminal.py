"""The command in real terminals: drawn at any size, and left as it was found, however it ends."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from support.nats_server import NatsServer
from support.state import make_health, make_topology, publish
from support.terminal import Terminal
from support.tmux import Tmux
from support.waiting import MACHINE, eventually

COMMAND = [sys.executable, "-m", "kgents_cli", "ui"]


async def begun(terminal: Tmux, server: NatsServer, *flags: str) -> None:
    terminal.command(*COMMAND, "--nats", server.url, *flags, ";", "echo", "ended=$?")
    await terminal.until("LIVE")
    await terminal.until("sick")
    await terminal.until("critical")  # from here on its row stays where it is


async def published(bus: Bus) -> None:
    await publish(bus, make_topology("sick"), make_health("sick", level="critical"), make_topology("calm"))


def process_of(server: NatsServer) -> int:
    found = subprocess.run(
        ["pgrep", "-f", f"kgents_cli ui --nats {server.url}"], capture_output=True, text=True, check=True
    )
    return int(found.stdout.split()[0])


def sent_by(server: NatsServer) -> int:
    """Messages that the dashboard has sent to NATS."""
    with urllib.request.urlopen(f"{server.monitor_url}/connz", timeout=10) as answer:  # noqa: S310
        found = json.load(answer)["connections"]
    return sum(each["in_msgs"] for each in found if each.get("name", "").startswith("cli"))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_it_is_drawn_at_any_size_and_after_each_change_of_it(
    size: tuple[int, int], bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    await published(bus)
    with Tmux(tmp_path, *size) as terminal:
        await begun(terminal, server)
        await terminal.until("✖ critical 0.20")
        assert "q quit" in terminal.picture.splitlines()[size[1] - 1]
        for columns in range(40, 100, 3):
            terminal.resize(columns, 12 + columns % 20)
        terminal.resize(70, 15)
        await eventually(lambda: "LIVE" in terminal.picture and "quit" in terminal.picture.splitlines()[14])
        await terminal.until("sick")
        terminal.press("q")
        await terminal.until("ended=0")
        assert terminal.is_as_found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_leaves_the_terminal_as_it_was_found(
    number: signal.Signals, bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    await published(bus)
    with Tmux(tmp_path, 80, 24) as terminal:
        await begun(terminal, server)
        assert not terminal.is_as_found
        os.kill(process_of(server), number)
        await terminal.until(f"ended={128 + number}")
        assert terminal.is_as_found


async def test_it_can_be_suspended_and_comes_back_with_all_of_its_picture(
    bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    await published(bus)
    with Tmux(tmp_path, 80, 24) as terminal:
        await begun(terminal, server)
        terminal.press("C-z")
        await terminal.until("Stopped")
        assert terminal.is_as_found
        await publish(bus, make_topology("meanwhile"))
        terminal.command("clear;", "fg")
        await terminal.until("meanwhile")
        await terminal.until("✖ critical")
        await terminal.until("HEALTH")
        terminal.press("q")


async def test_the_mouse_selects_opens_scrolls_and_presses_what_a_bar_names(
    bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    await published(bus)
    await publish(bus, *(make_topology(f"more-{number:02}") for number in range(60)))
    with Tmux(tmp_path, 80, 24) as terminal:
        await begun(terminal, server)

        def line_of(text: str) -> int:
            return next(at for at, line in enumerate(terminal.picture.splitlines(), 1) if text in line)

        await terminal.until("more-05")
        for _ in range(2):
            terminal.click(30, line_of("more-05"))
        await terminal.until("pod shop/more-05  in cluster test")
        terminal.click(2, 24)
        await terminal.until("this help")
        terminal.click(2, 24)
        await eventually(lambda: "this help" not in terminal.picture)
        terminal.press("Escape")
        await terminal.until("sick")
        for _ in range(9):
            terminal.wheel(30, 12, is_up=False)
        await eventually(lambda: "sick" not in terminal.picture and "more-30" in terminal.picture)
        for _ in range(9):
            terminal.wheel(30, 12, is_up=True)
        await terminal.until("sick")
        terminal.click(14, 2)
        await terminal.until("2 Topology")
        terminal.press("q")


async def test_without_colours_none_is_in_the_terminal(bus: Bus, server: NatsServer, tmp_path: Path) -> None:
    await published(bus)
    with Tmux(tmp_path, 80, 24, {"NO_COLOR": "1"}) as terminal:
        await begun(terminal, server)
        assert not any(f"\x1b[{code}" in terminal.colours for code in ("38;", "48;", "31", "32", "33"))
        assert "38;2" not in terminal.colours
        await terminal.until("✖ critical")


async def test_ascii_alone_is_drawn_where_that_is_wanted(bus: Bus, server: NatsServer, tmp_path: Path) -> None:
    await published(bus)
    with Tmux(tmp_path, 80, 24) as terminal:
        await begun(terminal, server, "--ascii")
        await terminal.until("X critical")
        assert terminal.picture.isascii()


async def test_a_terminal_that_stops_reading_stops_nothing_and_gets_the_newest_picture(
    bus: Bus, server: NatsServer
) -> None:
    await published(bus)
    await publish(bus, *(make_topology(f"pod-{at}") for at in range(12)))
    with Stalled([*COMMAND, "--nats", server.url]) as terminal:
        await eventually(lambda: "sick" in terminal.written)
        terminal.stall()
        for number in range(70):  # more pictures than Textual and the terminal keep for a reader
            levels = ("critical", "warning")[:: 1 if number % 2 else -1]
            await publish(bus, *(make_health(f"pod-{at}", level=levels[at % 2]) for at in range(12)))
            terminal.press("jk")  # a key draws at once
            await asyncio.sleep(0.2)
        for _ in range(3):  # it still talks with NATS, every second
            before = await asyncio.to_thread(sent_by, server)
            await eventually(lambda: sent_by(server) > before)  # noqa: B023
        terminal.read_on()
        await publish(bus, make_topology("newest"), make_health("newest", level="critical", score=0.0))
        await eventually(lambda: "newest" in terminal.written)
        terminal.press("q")
        assert terminal.ended() == 0


async def test_what_is_pasted_is_text_whatever_bytes_it_is_made_of(bus: Bus, server: NatsServer) -> None:
    await published(bus)
    with Terminal([*COMMAND, "--nats", server.url]) as terminal:
        await eventually(lambda: "LIVE" in terminal.written and "sick" in terminal.written)
        terminal.press("/")
        os.write(terminal._own, b"\x1b[200~si\xff\xe9\n\x1b[31mck\x1b[201~\r")
        await eventually(lambda: "none of 2 passes the filter" in terminal.written)
        terminal.press("\x1b")
        await eventually(lambda: "sick" in terminal.written.rpartition("none of 2")[2])
        terminal.press("\x03")  # Ctrl-C quits, as the help says
        assert terminal.ended() == 0


async def test_a_terminal_that_is_gone_ends_it(bus: Bus, server: NatsServer) -> None:
    await published(bus)
    with Terminal([*COMMAND, "--nats", server.url]) as terminal:
        await eventually(lambda: "sick" in terminal.written)
        os.close(terminal._own)
        assert terminal.process.wait(MACHINE.limit_s(20)) is not None
        terminal._own = os.open(os.devnull, os.O_RDWR)


@pytest.mark.parametrize("term", ["dumb", ""])
def test_what_cannot_be_drawn_on_is_refused_with_another_command(term: str) -> None:
    run = subprocess.run(COMMAND, env={**os.environ, "TERM": term}, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "kgents watch" in run.stderr
    assert "\x1b" not in run.stderr + run.stdout
    with Terminal(COMMAND, environ={"TERM": term}) as terminal:
        assert terminal.ended() == 2


class Stalled(Terminal):
    """A terminal whose reader can stop, as behind Ctrl-S or a connection that stalls."""

    def __init__(self, command: list[str]) -> None:
        super().__init__(command)
        self._reads = threading.Event()
        self._reads.set()

    def stall(self) -> None:
        self._reads.clear()

    def read_on(self) -> None:
        self._reads.set()

    def _read(self) -> None:
        while True:
            self._reads.wait()
            try:
                found = os.read(self._own, 65_536)
            except OSError:
                return
            if not found:
                return
            self.written += found.decode(errors="replace")
