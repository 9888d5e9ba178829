"""A real systemd: its services as they run, fail and are restarted, and what is never asked of it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Message
from dbus_fast.aio import MessageBus

from kgents_collector_host.config import Config
from kgents_collector_host.mapping import History, Network, observe
from kgents_collector_host.sample import Sample
from kgents_collector_host.source import Source
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.facts import Facts
from kgents_shared.runtime.clock import SystemClock
from support.story_incidents import causes, incidents
from support.story_observed import of_polls
from support.story_world import CLUSTER
from support.systemd import Systemd, may_boot
from support.waiting import eventually

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not may_boot(), reason="needs a systemd of its own: root, Debian's systemd and dbus"),
]
CANARY = "canary-4711"
UNITS = {
    "good.service": f"[Service]\nEnvironment=TOKEN={CANARY}\nExecStart=/bin/sleep 1000\n",
    "bad.service": f"[Service]\nExecStart=/bin/sh -c 'exit 7' {CANARY}\n",
    "flap.service": (
        "[Unit]\nStartLimitIntervalSec=0\n"
        "[Service]\nExecStart=/bin/sh -c 'sleep 0.2; exit 7'\nRestart=on-failure\nRestartSec=100ms\n"
    ),
}


@pytest.fixture
async def systemd(tmp_path: Path) -> AsyncIterator[Systemd]:
    async with Systemd(tmp_path, UNITS) as systemd:
        yield systemd


async def manage(systemd: Systemd, member: str, unit: str) -> None:
    bus = await MessageBus(bus_address=f"unix:path={systemd.root}/run/dbus/system_bus_socket").connect()
    name, manager = "org.freedesktop.systemd1", "org.freedesktop.systemd1.Manager"
    message = Message(
        destination=name, path="/org/freedesktop/systemd1", interface=manager, member=member, signature="ss",
        body=[unit, "replace"],
    )  # fmt: skip
    await bus.call(message)
    bus.disconnect()


class Watched:
    """A source, and what follows of everything that it has read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._network, self._history = Network(), History()
        self._before: Sample | None = None
        self.facts = Facts()
        self.polls: list[Facts] = []

    async def poll(self) -> Facts:
        now = await self._source.read()
        published = {each.ref: each for each in self.facts.entities}
        self.facts = observe(
            self._before, now, self._network, self._history,
            cluster=CLUSTER, interval_s=1, max_processes=10, published=published,
        )  # fmt: skip
        self._before = now
        self.polls.append(self.facts)
        return self.facts

    def unit(self, name: str) -> Entity | None:
        return next((each for each in self.facts.entities if each.ref.kind == "unit" and each.ref.name == name), None)

    def is_so(self, name: str, status: str, reason: str = "") -> Callable[[], Any]:
        async def claim() -> bool:
            await self.poll()
            found = self.unit(name)
            return found is not None and (found.status, found.reason) == (status, reason)

        return claim


async def test_services_that_run_fail_and_are_restarted_say_so(systemd: Systemd) -> None:
    async with Source.open(Config(root=str(systemd.root), name="m"), SystemClock()) as source:
        watched = Watched(source)
        for unit in ("good.service", "bad.service"):
            await manage(systemd, "StartUnit", unit)
        await eventually(watched.is_so("good.service", "running"))
        await eventually(watched.is_so("bad.service", "failed", "exit-code 7"))
        await manage(systemd, "RestartUnit", "good.service")
        await eventually(watched.is_so("good.service", "running"))
        await manage(systemd, "StopUnit", "good.service")

        async def is_gone() -> bool:
            await watched.poll()
            return watched.unit("good.service") is None

        await eventually(is_gone)
        assert CANARY not in repr(watched.facts)
    found = causes(incidents(of_polls(watched.polls, "host"), until="1h"))
    assert [each for each in found if "service" in each] == ["unit m/bad.service KG-001"], "a stop is no failure"


async def test_a_service_that_is_restarted_again_and_again_is_so_at_every_poll(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgents_collector_host.source.systemd.DETAILS_S", 0.0)
    async with Source.open(Config(root=str(systemd.root), name="m"), SystemClock()) as source:
        watched = Watched(source)
        await manage(systemd, "StartUnit", "flap.service")
        await eventually(watched.is_so("flap.service", "pending", "Restarting"))
        for _ in range(20):
            await asyncio.sleep(0.05)
            assert await watched.is_so("flap.service", "pending", "Restarting")()


async def test_without_its_bus_units_are_unread_and_come_back(systemd: Systemd) -> None:
    async with Source.open(Config(root=str(systemd.root), name="m"), SystemClock()) as source:
        watched = Watched(source)
        await manage(systemd, "StartUnit", "good.service")
        await eventually(watched.is_so("good.service", "running"))
        os.kill(systemd.init_pid, signal.SIGSTOP)
        facts = await watched.poll()
        assert [each.kind for each in facts.unread] == ["unit"]
        assert "does not answer" in facts.unread[0].reason
        os.kill(systemd.init_pid, signal.SIGCONT)
        await eventually(watched.is_so("good.service", "running"))


async def test_a_machine_without_systemd_is_read_without(tmp_path: Path) -> None:
    (tmp_path / "proc").symlink_to("/proc")
    async with Source.open(Config(root=str(tmp_path)), SystemClock()) as source:
        found: Any = await source.read()
    assert (found.units, found.units_fault) == (None, "")
