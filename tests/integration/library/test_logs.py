"""Iterators over logs: from now, since a time, filtered, over restarts and gaps."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import kgents
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from support.build import NOW, make_ref
from support.iterated import reading
from support.nats_server import NatsServer
from support.state import make_event, make_health, make_topology, publish, remake
from support.streams import readers
from support.waiting import eventually, pause

HOUR = timedelta(hours=1)


def numbers(events: list[kgents.Event]) -> list[str]:
    return [each.text.removeprefix("pod shop/") for each in events]


async def all_read(bus: Bus, count: int) -> bool:
    return await readers(bus, "KGENTS_EVENT") == count


async def test_events_come_from_now_or_since_a_time(bus: Bus, client: kgents.Client) -> None:
    await publish(bus, make_event("a", number=1))
    async with (
        reading(client.events()) as new,
        reading(client.events(since=HOUR)) as of_an_hour,
        reading(client.events(since=datetime(2000, 1, 1, tzinfo=UTC))) as all_,
    ):
        await eventually(lambda: of_an_hour and all_)
        await eventually(lambda: all_read(bus, 3))  # the one without a time has begun, too
        await publish(bus, make_event("a", number=2))
        await eventually(lambda: new and len(of_an_hour) == 2 and len(all_) == 2)

    assert numbers(new) == ["a: BackOff 2"]
    assert numbers(of_an_hour) == numbers(all_) == ["a: BackOff 1", "a: BackOff 2"]


async def test_events_are_filtered_by_entity_and_source(bus: Bus, client: kgents.Client) -> None:
    await publish(
        bus, make_topology("a", labels={"app": "cart"}), make_topology("b"), make_health("b", level="critical")
    )
    await publish(bus, make_event("a", number=1), make_event("a", number=2, source="docker"), make_event("b", number=3))
    async with (
        reading(client.events(since=HOUR, label="app=cart")) as by_label,
        reading(client.events(since=HOUR, source="docker")) as by_source,
        reading(client.events(since=HOUR, level="critical")) as by_level,
        reading(client.events(since=HOUR, name="b", namespace="shop", cluster="test", kind="pods")) as by_name,
    ):
        await eventually(lambda: len(by_label) == 2 and by_source and by_level and by_name)

    assert numbers(by_label) == ["a: BackOff 1", "a: BackOff 2"]
    assert numbers(by_source) == ["a: BackOff 2"]
    assert numbers(by_level) == numbers(by_name) == ["b: BackOff 3"]


async def test_pulses_are_typed(bus: Bus, client: kgents.Client) -> None:
    ref = make_ref("a")
    database = make_ref("pg", kind="database")
    session = await bus.session()
    async with reading(client.pulses(since=HOUR)) as pulses:
        for pulse in (
            kgents.ResourcePulse(ref=ref, source="k8s", timestamp=NOW, interval_s=15, cpu_percent=3.1),
            kgents.DatabasePulse(
                ref=database, source="db", backend="postgres", timestamp=NOW, interval_s=15, phase="healthy"
            ),
        ):
            await session.request(pulse.ref.subject("pulse", source=pulse.source), encode(pulse))
        await session.request(ref.subject("pulse", source="k8s"), b'{"type": "NEW_PULSE"}')
        await eventually(lambda: len(pulses) == 2)

    assert isinstance(pulses[0], kgents.ResourcePulse)
    assert pulses[0].cpu_percent == 3.1
    assert isinstance(pulses[1], kgents.DatabasePulse)


async def test_a_restart_goes_on_where_it_stopped(bus: Bus, client: kgents.Client, tmp_path: Path) -> None:
    file = tmp_path / "position"
    await publish(bus, make_event("a", number=1))
    async with reading(client.events(since=HOUR, position_file=file)) as first:
        await eventually(lambda: first)
        await pause(0.2)  # it asks for the next one, and the one before counts
    await publish(bus, make_event("a", number=2), make_event("a", number=3))
    again = client.events(since=HOUR, position_file=file)
    async with reading(again) as second:
        await eventually(lambda: len(second) == 2)

    assert numbers(second) == ["a: BackOff 2", "a: BackOff 3"]
    assert again.resets == 0


async def test_a_log_that_was_made_again_is_a_reset(bus: Bus, client: kgents.Client, tmp_path: Path) -> None:
    file = tmp_path / "position"
    await publish(bus, make_event("a", number=1))
    async with reading(client.events(since=HOUR, position_file=file)) as first:
        await eventually(lambda: first)
        await pause(0.2)
    await remake(bus, "KGENTS_EVENT")
    await publish(bus, make_event("a", number=2), make_event("a", number=3))
    again = client.events(since=HOUR, position_file=file)
    async with reading(again) as second:
        await eventually(lambda: len(second) == 2)

    assert numbers(second) == ["a: BackOff 2", "a: BackOff 3"]
    assert again.resets == 1


async def test_a_log_that_went_back_meanwhile_is_a_reset(
    bus: Bus, server: NatsServer, client: kgents.Client, tmp_path: Path
) -> None:
    """Also where it has counted on past what was read of it."""
    file = tmp_path / "position"
    await publish(bus, make_event("a", number=1))
    await server.copy_store()
    await publish(bus, make_event("a", number=2))
    async with reading(client.events(since=HOUR, position_file=file)) as first:
        await eventually(lambda: len(first) == 2)
        await pause(0.2)
    await server.go_back()
    await publish(bus, make_event("a", number=3), make_event("a", number=4))
    again = client.events(since=HOUR, position_file=file)
    async with reading(again) as second:
        await eventually(lambda: {"a: BackOff 3", "a: BackOff 4"} <= {*numbers(second)})

    assert again.resets == 1
