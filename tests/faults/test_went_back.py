"""A server restored from an older copy of its store: what was read or published since is gone, for every service."""

from pathlib import Path

import pytest

import kgents
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import ALERT, encode
from kgents_shared.contract.entity import Entity
from kgents_shared.view.entity import STATE
from support.build import make_entity, make_removal, subject_of
from support.iterated import reading
from support.nats_server import NatsServer
from support.service_process import ServiceProcess
from support.state import remake
from support.streams import stored
from support.truth import health, last_seq, topology
from support.waiting import eventually, stays

pytestmark = pytest.mark.timeout(240)
BUILDER, SCORER = "topology-builder", "health-scorer"
AT_THE_COPY = {f"old{number}": "running" for number in range(8)}
LOST = frozenset(f"lost{number}" for number in range(4))
"""What is new after the copy."""
PAST = 30
"""Messages after the restoration: more than were lost."""


def reported(name: str, status: str = "running") -> Entity:
    """What needs no heartbeat."""
    return make_entity(name, source="billing", status=status, report_interval_s=3600.0)


async def write(bus: Bus, *entities: Entity) -> None:
    session = await bus.session(timeout_s=20)
    for entity in entities:
        await session.request(subject_of(entity), encode(entity))


async def statuses(bus: Bus) -> dict[str, str]:
    return {ref.name: entity.status for ref, entity in (await topology(bus)).items() if ref.kind == "pod"}


async def levels(bus: Bus) -> dict[str, str]:
    return {ref.name: each.level for ref, each in (await health(bus)).items() if ref.kind == "pod"}


async def fail(bus: Bus) -> dict[str, str]:
    """What is published after the copy: failures, …"""
    failed = {f"old{number}": "failed" for number in range(4)}
    await write(bus, *(reported(name, status) for name, status in failed.items()))
    return {**AT_THE_COPY, **failed}


async def come_and_go(bus: Bus, before: dict[str, str]) -> dict[str, str]:
    """… then a removal, and what is new."""
    new = dict.fromkeys(sorted(LOST), "running")
    await write(bus, make_removal(reported("old7")), *(reported(name) for name in new))
    return {**{name: status for name, status in before.items() if name != "old7"}, **new}


async def write_past(bus: Bus) -> dict[str, str]:
    """Count the entity stream on past its old sequence; returns all that it then holds."""
    await write(bus, *(reported(f"new{number % 5}", ("running", "failed")[number // 5 % 2]) for number in range(PAST)))
    return {**AT_THE_COPY, **{f"new{number}": "failed" for number in range(5)}}


@pytest.mark.parametrize("is_away", [False, True], ids=["connected", "away"])
async def test_services_and_readers_hold_what_the_restored_streams_say(
    bus: Bus, server: NatsServer, tmp_path: Path, is_away: bool
) -> None:
    file = tmp_path / "position"
    await write(bus, *(reported(name) for name in AT_THE_COPY))
    async with (
        ServiceProcess(BUILDER, server.url, tmp_path) as builder,
        ServiceProcess(SCORER, server.url, tmp_path) as scorer,
        kgents.connect(server.url) as client,
    ):
        await eventually(lambda: holds(bus, AT_THE_COPY))
        await server.copy_store()
        connected = client.entities(kind="pod")
        async with reading(connected):
            away = client.entities(kind="pod", position_file=file)
            async with reading(away) as given:
                failed = await fail(bus)
                await eventually(lambda: away.is_complete and has_read(away, failed))
                before = await come_and_go(bus, failed)
                await eventually(lambda: holds(bus, before))
                await eventually(lambda: current(away) == current(connected) == before)
                await eventually(lambda: {each.ref.name for each in given} >= LOST)
            if is_away:
                builder.kill()
                scorer.kill()
            await server.go_back()
            expected = await write_past(bus)
            if is_away:
                builder.start()
                scorer.start()
            await eventually(lambda: holds(bus, expected), within_s=60)
            await eventually(lambda: current(connected) == expected)
        again = client.entities(kind="pod", position_file=file)
        async with reading(again) as changes:
            await eventually(lambda: again.is_complete and current(again) == expected)
            await eventually(lambda: {each.ref.name for each in changes if each.op == "removed"} >= LOST)

        assert again.resets == len(STATE), "each of the streams went back"
        assert connected.resets >= 1


async def test_a_topology_that_is_made_again_ends_no_alert(bus: Bus, server: NatsServer, tmp_path: Path) -> None:
    """Its writer finds that, and publishes all of it again."""
    failed = reported("failed", "failed")
    await write(bus, failed)
    async with (
        ServiceProcess(BUILDER, server.url, tmp_path),
        ServiceProcess(SCORER, server.url, tmp_path),
    ):
        await eventually(lambda: holds(bus, {"failed": "failed"}))
        before = await last_seq(bus, "KGENTS_ALERT")
        await remake(bus, "KGENTS_TOPOLOGY")
        await eventually(lambda: holds(bus, {"failed": "failed"}), within_s=60)
        await stays(lambda: holds(bus, {"failed": "failed"}), for_s=3)

    found = [ALERT.decode(each.payload) for each in await stored(bus, "KGENTS_ALERT") if each.seq > before]
    assert [each for each in found if each.ref == failed.ref] == []


def current(stream: kgents.StateStream[kgents.Entity]) -> dict[str, str]:
    return {each.ref.name: each.status for each in stream.current()}


def has_read(stream: kgents.StateStream[kgents.Entity], expected: dict[str, str]) -> bool:
    """Whether it holds these entities, and of each that failed its health and its alert: something of every stream."""
    alarmed = {each.ref.name for each in stream.current() if each.level == "critical" and each.firing}
    return current(stream) == expected and alarmed == {name for name in expected if expected[name] == "failed"}


async def holds(bus: Bus, expected: dict[str, str]) -> bool:
    """Whether topology and health are of these entities."""
    found = await statuses(bus)
    judged = await levels(bus)
    bad = {name for name, level in judged.items() if level == "critical"}
    failed = {name for name, status in found.items() if status == "failed"}
    return found == expected and judged.keys() == expected.keys() and bad == failed
