"""The entity stream as a client sees it: what is there, every change, and going on after any interruption."""

from typing import Any

import pytest

from kgents_gateway.config import StreamConfig
from kgents_shared.bus.client import Bus
from kgents_shared.bus.pull import READ_MAX
from kgents_shared.contract import subjects
from kgents_shared.contract.attestation import WRITERS
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.meta import Heartbeat
from support.build import NOW, make_ref
from support.gateway import ENTITIES, Running, SseReader, caught_up, reading, serving
from support.nats_server import NatsServer
from support.state import make_alert, make_event, make_health, make_topology, publish, remake, removed, subject_of
from support.waiting import eventually


def named(state: dict[str, Any]) -> dict[str, tuple[str, str, int]]:
    return {
        each["ref"]["name"]: (each["status"], (each["health"] or {}).get("level", "-"), len(each["alerts"]))
        for each in state.values()
    }


async def test_a_client_gets_what_is_there_then_a_mark_then_every_change(bus: Bus) -> None:
    await publish(bus, make_topology("a"), make_topology("b"), make_health("a", level="critical"), make_alert("a"))
    async with serving(bus) as gateway, reading(gateway) as reader:
        assert named(reader.state) == {"a": ("running", "critical", 1), "b": ("running", "-", 0)}
        assert reader.names == ["hello", "batch", "ready"]

        await publish(bus, make_health("b"), removed(make_topology("a")), make_topology("c", status="failed"))
        await eventually(lambda: named(reader.state) == {"b": ("running", "healthy", 0), "c": ("failed", "-", 0)})
        assert reader.data("remove")[0]["text"] == f"{make_ref('a')} is gone (deleted)"


async def test_events_come_beside_the_entities_and_the_id_stays_that_of_these(bus: Bus) -> None:
    await publish(bus, make_topology("a"), *(make_event("a", number=number) for number in range(3)))
    async with serving(bus) as gateway:
        await eventually(lambda: len(gateway.gateway._events) == 3)
        async with reading(gateway, events=2) as reader, reading(gateway) as alone:
            assert reader.names == ["hello", "batch", "event", "event", "ready"], "what was there comes before `ready`"
            assert [each["id"][-1] for each in reader.data("event")] == ["1", "2"]
            mark = reader.last_id
            await publish(bus, make_event("a", number=3))
            await eventually(lambda: [each["id"][-1] for each in reader.data("event")] == ["1", "2", "3"])
            assert reader.last_id == mark
            async with reading(gateway, last_id=mark, events=1) as again:
                assert (again.data("hello")[0]["mode"], again.names[1:]) == ("resume", ["event", "ready"])
            assert "event" not in alone.names


async def test_a_client_knows_how_many_of_the_selected_entities_follow(bus: Bus, gateway: Running) -> None:
    await publish(bus, make_topology("a"), make_topology("b"), make_health("a", level="critical"), make_health("b"))
    await publish(bus, make_health(ref=Ref("local", "cluster", "local")))
    await caught_up(bus, gateway)
    selections: list[tuple[dict[str, Any], int]] = [({}, 2), ({"levels": "critical"}, 1), ({"kinds": "node"}, 0)]
    for selected, count in selections:
        async with reading(gateway, **selected) as reader:
            found = [reader.data(each)[0]["entities"] for each in ("hello", "ready")]
            assert (found, len(reader.state)) == ([count] * 2, count), selected
    async with reading(gateway, last_id=reader.last_id, kinds="node") as again:
        assert again.data("hello")[0]["mode"] == "resume"
        assert "entities" not in again.data("ready")[0]


async def test_a_client_that_comes_back_gets_what_it_missed_and_nothing_else(bus: Bus, gateway: Running) -> None:
    await publish(bus, make_topology("a"), make_topology("b"), make_topology("c"))
    async with reading(gateway) as reader:
        await eventually(lambda: len(reader.state) == 3)
        await eventually(lambda: reader.last_id != "")
    async with reading(gateway, last_id=reader.last_id) as again:
        assert again.names == ["hello", "ready"]

    await publish(bus, make_health("b"), removed(make_topology("c")), make_topology("d"))
    await caught_up(bus, gateway)
    async with reading(gateway, last_id=reader.last_id, known=reader.state) as again:
        assert again.data("hello")[0]["mode"] == "resume"
        assert named(again.state) == {
            "a": ("running", "-", 0),
            "b": ("running", "healthy", 0),
            "d": ("running", "-", 0),
        }
        assert sorted(each["ref"]["name"] for each in again.data("upsert")) == ["b", "d"]


async def test_another_gateway_continues_where_the_first_one_stopped(bus: Bus) -> None:
    await publish(bus, make_topology("a"), make_topology("b"), make_health("a"))
    async with serving(bus) as first, reading(first) as reader:
        pass
    await publish(bus, make_topology("a", status="failed"), removed(make_topology("b")))
    async with serving(bus) as second, reading(second, last_id=reader.last_id, known=reader.state) as again:
        assert (again.names[0], sorted(again.names[1:3]), again.names[3]) == ("hello", ["remove", "upsert"], "ready")
        assert named(again.state) == {"a": ("failed", "healthy", 0)}


async def test_a_client_whose_mark_is_of_other_streams_begins_from_nothing(bus: Bus) -> None:
    await publish(bus, make_topology("a"))
    async with serving(bus) as first, reading(first) as reader:
        pass
    await remake(bus, "KGENTS_TOPOLOGY")
    await publish(bus, make_topology("b"))
    async with serving(bus) as second, reading(second, last_id=reader.last_id, known=reader.state) as again:
        assert again.names == ["hello", "reset", "batch", "ready"]
        assert set(named(again.state)) == {"b"}


async def test_a_client_of_a_stream_that_was_put_back_begins_from_nothing(bus: Bus, server: NatsServer) -> None:
    """The streams have grown beyond the client's mark since, with other messages."""
    await publish(bus, make_topology("a"), make_topology("b"))
    async with serving(bus) as gateway:
        async with reading(gateway) as before:
            await eventually(lambda: len(before.state) == 2)
        await server.copy_store()
        await publish(bus, removed(make_topology("a")), make_topology("lost"))
        async with reading(gateway, last_id=before.last_id, known=before.state) as reader:
            await eventually(lambda: set(named(reader.state)) == {"b", "lost"})
        await server.go_back()
        await publish(bus, *(make_topology(f"p{number}") for number in range(4)))
        async with serving(bus) as another:
            for each in (another, gateway):
                await caught_up(bus, each)
                async with reading(each) as whole:
                    assert set(named(whole.state)) == {"a", "b", "p0", "p1", "p2", "p3"}
                async with reading(each, last_id=reader.last_id, known=reader.state) as again:
                    said = [name for name in again.names if name not in ("stale", "live")]
                    assert said[:2] == ["hello", "reset"]
                    assert again.state == whole.state
                async with reading(each, last_id=before.last_id, known=before.state) as again:
                    assert again.data("hello")[0]["mode"] == "resume"
                    assert again.state == whole.state


@pytest.mark.timeout(120)
async def test_a_gateway_that_begins_knows_more_changes_than_one_audit_reads(bus: Bus) -> None:
    session = await bus.session()
    for number in range(READ_MAX + 600):
        message = make_topology(f"p{number}")
        await session.publish(subject_of(message), encode(message))
    await publish(bus, make_topology("a"))
    async with serving(bus) as first, reading(first, names="a") as reader:
        await eventually(lambda: set(named(reader.state)) == {"a"})
    await publish(bus, make_topology("a", status="failed"))
    async with serving(bus) as second, reading(second, last_id=reader.last_id, known=reader.state, names="a") as again:
        assert named(again.state) == {"a": ("failed", "-", 0)}
        assert again.data("hello")[0]["mode"] == "resume"


async def test_a_client_that_missed_more_than_is_remembered_begins_from_nothing(bus: Bus) -> None:
    await publish(bus, make_topology("a"))
    async with serving(bus, StreamConfig(remembered_changes=2)) as gateway:
        async with reading(gateway) as reader:
            pass
        await publish(bus, *(make_topology(f"p{number}") for number in range(4)))
        await caught_up(bus, gateway)
        async with reading(gateway, last_id=reader.last_id, known=reader.state) as again:
            assert "reset" in again.names
            assert len(again.state) == 5


@pytest.mark.timeout(180)
async def test_what_is_stale_since_its_writer_is_silent_is_not_missed_at_any_gateway(bus: Bus) -> None:
    """No message says that a writer is silent: what that changes has no place in the streams."""
    await publish(bus, make_topology("a"), make_health("a"))
    await report(bus)
    async with serving(bus) as first, reading(first) as connected:

        async def is_healthy() -> bool:
            await report(bus)
            return levels(connected) == {"healthy"}

        await eventually(is_healthy)
        async with reading(first) as reader:
            assert levels(reader) == {"healthy"}
        async with serving(bus) as second:
            await eventually(lambda: levels(connected) == {"unknown"}, within_s=60)
            for gateway in (first, second):
                await eventually(lambda: level(gateway) == "unknown", within_s=60)  # noqa: B023 - called at once
                async with reading(gateway, last_id=reader.last_id, known=reader.state) as again:
                    assert levels(again) == {"unknown"}
        await eventually(is_healthy)


def levels(reader: SseReader) -> set[str]:
    return {found for _, found, _ in named(reader.state).values()}


def level(gateway: Running) -> str:
    view = gateway.gateway.current.fold.get(make_ref("a"))
    return view.level if view is not None else ""


async def report(bus: Bus) -> None:
    """The writers of topology and health say that they are at work."""
    cluster = make_ref("a").cluster
    for service in WRITERS:
        beat = Heartbeat(text="", service=service, instance="one", version="1", started_at=NOW, state="in_sync")
        subject = subjects.build("meta", cluster=cluster, service=service, instance="one")
        await (await bus.session()).request(subject, encode(beat))


async def test_connected_clients_follow_a_stream_that_is_made_again(bus: Bus, gateway: Running) -> None:
    await publish(bus, make_topology("a"), make_topology("b"))
    async with reading(gateway) as reader:
        await eventually(lambda: len(reader.state) == 2)
        await remake(bus, "KGENTS_TOPOLOGY")
        await publish(bus, make_topology("b"), make_topology("c"))
        await eventually(lambda: set(named(reader.state)) == {"b", "c"})


async def test_a_filter_takes_out_what_no_longer_fits(bus: Bus, gateway: Running) -> None:
    await publish(bus, make_topology("a"), make_topology("b"), make_health("a", level="critical"), make_health("b"))
    async with reading(gateway, levels="critical") as reader:
        await eventually(lambda: set(named(reader.state)) == {"a"})
        await publish(bus, make_health("a"), make_health("b", level="critical"))
        await eventually(lambda: set(named(reader.state)) == {"b"})


async def test_an_unknown_parameter_is_refused_before_anything_is_streamed(gateway: Running) -> None:
    response = await gateway.client.get(ENTITIES, params={"colour": "red"})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert "found 'colour'" in response.json()["detail"]
