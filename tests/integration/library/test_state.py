"""Iterators over state: what is there, every change, filters, restarts, and resets that are reported as such."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import kgents
from kgents_shared.bus.client import Bus
from kgents_shared.bus.session import Session
from support.build import make_ref
from support.iterated import reading
from support.nats_server import NatsServer
from support.state import edge, make_alert, make_health, make_topology, publish, remake, removed
from support.waiting import eventually

FOUND = ("entities", "topology", "health", "alerts")


def lines(changes: list[kgents.Change[Any]]) -> list[str]:
    return [f"{each.op} {each.ref.name} {each.origin}" for each in changes]


async def test_each_iterator_gives_its_own_part(bus: Bus, client: kgents.Client) -> None:
    await publish(bus, make_topology("a"), make_health("a", level="critical"), make_alert("a"), make_topology("b"))
    async with (
        reading(client.topology()) as topology,
        reading(client.health()) as health,
        reading(client.alerts()) as alerts,
        reading(client.entities()) as entities,
    ):
        await eventually(lambda: len(topology) == 2 and len(entities) == 2 and health and alerts)
        await publish(bus, make_health("a"))
        await eventually(lambda: len(health) == 2 and len(entities) == 3)

    assert {(each.op, each.text) for each in topology} == {
        ("added", "pod shop/a appeared: running"),
        ("added", "pod shop/b appeared: running"),
    }
    assert [(each.new.level if each.new else "") for each in health] == ["critical", "healthy"]
    assert health[1].old is not None
    assert health[1].old.level == "critical"
    assert [each.new.check for each in alerts if each.new] == ["KG-001"]
    assert entities[2].text == "pod shop/a is healthy"
    assert (entities[2].origin, entities[0].origin) == ("live", "snapshot")
    assert entities[2].at is not None
    assert entities[0].at is None


async def test_an_alert_is_an_item_of_its_own_for_each_check(bus: Bus, client: kgents.Client) -> None:
    first, second = make_alert("a", check="KG-001"), make_alert("a", check="KG-002", state="pending")
    await publish(bus, first, second)
    async with reading(client.alerts()) as alerts:
        await eventually(lambda: len(alerts) == 2)
        await publish(bus, make_alert("a", check="KG-002"), removed(first))
        await eventually(lambda: len(alerts) == 4)

    assert [(each.op, each.text) for each in alerts[2:]] == [
        ("changed", "pod shop/a: KG-002 firing"),
        ("removed", "pod shop/a is gone (deleted)"),
    ]
    assert alerts[3].old is not None
    assert alerts[3].old.check == "KG-001"


@pytest.mark.parametrize("name", FOUND)
async def test_filters_by_label_and_level_join_what_they_need(bus: Bus, client: kgents.Client, name: str) -> None:
    await publish(
        bus,
        make_topology("a", labels={"app": "cart"}), make_health("a", level="critical"), make_alert("a"),
        make_topology("b", labels={"app": "pay"}), make_health("b", level="critical"), make_alert("b"),
        make_topology("c", labels={"app": "cart"}), make_health("c"),
    )  # fmt: skip
    async with reading(getattr(client, name)(label="app=cart", level="critical")) as found:
        await eventually(lambda: found)
        await publish(bus, make_health("b", level="critical", text="still critical"))
        await publish(bus, make_health("a", text="well again"))
        await eventually(lambda: len(found) == 2)
        await publish(bus, make_health("a", level="critical"))
        await eventually(lambda: len(found) == 3)

    assert lines(found) == ["added a snapshot", "unselected a live", "added a live"]


async def test_health_with_a_label_filter_gives_no_topology_changes(bus: Bus, client: kgents.Client) -> None:
    await publish(bus, make_topology("a", labels={"app": "cart"}), make_health("a"))
    async with reading(client.health(label="app")) as found:
        await eventually(lambda: found)
        await publish(
            bus, make_topology("a", labels={"app": "cart"}, status="failed"), make_health("a", level="warning")
        )
        await eventually(lambda: len(found) == 2)

    assert [each.new.level for each in found if each.new] == ["healthy", "warning"]


@pytest.mark.parametrize("name", FOUND)
async def test_what_is_removed_says_why(bus: Bus, client: kgents.Client, name: str) -> None:
    await publish(bus, make_topology("a", labels={"app": "cart"}), make_health("a"), make_alert("a"))
    async with reading(getattr(client, name)(label="app")) as found:
        await eventually(lambda: found)
        await publish(bus, removed(make_topology("a")))
        await eventually(lambda: len(found) == 2)

    assert (found[1].op, found[1].text) == ("removed", "pod shop/a is gone (deleted)")


async def test_the_health_of_a_cluster_is_an_item_of_health(bus: Bus, client: kgents.Client) -> None:
    await publish(bus, make_health(ref=make_ref("test", kind="cluster", namespace="")))
    async with reading(client.health(kind="cluster")) as found:
        await eventually(lambda: found)

    assert found[0].ref.kind == "cluster"


async def test_an_entity_knows_its_owner(bus: Bus, client: kgents.Client) -> None:
    owner = make_ref("cart", kind="deployment")
    await publish(bus, make_topology("a", connections=[edge("owns", owner, "in")]))
    async with reading(client.entities()) as found:
        await eventually(lambda: found)

    assert found[0].new is not None
    assert found[0].new.owner == owner


@pytest.mark.parametrize("name", FOUND)
async def test_a_restart_goes_on_where_it_stopped(bus: Bus, client: kgents.Client, tmp_path: Path, name: str) -> None:
    iterate = getattr(client, name)
    await publish(bus, make_topology("a"), make_health("a", level="critical"), make_alert("a"))
    await publish(bus, make_topology("b"), make_health("b"), make_alert("b", state="pending"))
    first = iterate(position_file=tmp_path / "position")
    async with reading(first) as found:
        await eventually(lambda: len(found) == 2 and first.is_complete)
    await publish(bus, make_topology("a", status="failed"), make_health("a"), make_alert("a", state="resolved"))
    await publish(bus, removed(make_alert("b")), removed(make_health("b")), removed(make_topology("b")))

    second = iterate(position_file=tmp_path / "position")
    async with reading(second) as missed:
        await eventually(lambda: second.is_complete)
        kept = second.current()

    by_name = {each.ref.name: each for each in missed}  # of `entities` each part comes for itself, the last decides
    assert by_name["b"].op == "removed"
    assert by_name["b"].old is not None
    assert by_name["a"].op == "changed"
    assert by_name["a"].old is not None
    assert by_name["a"].new is not None
    assert {each.origin for each in missed} == {"live"}
    assert (second.resets, len(kept)) == (0, 1)


@pytest.mark.parametrize(("name", "stream"), [("topology", "TOPOLOGY"), ("health", "HEALTH"), ("alerts", "ALERT")])
async def test_a_stream_made_again_meanwhile_is_a_reset_and_what_vanished_is_removed(
    bus: Bus, client: kgents.Client, tmp_path: Path, name: str, stream: str
) -> None:
    def last(name: str) -> list[Any]:
        return [make_topology(name), make_health(name), make_alert(name)]

    await publish(bus, *last("a"), *last("b"), *last("c"))
    first = getattr(client, name)(position_file=tmp_path / "position")
    async with reading(first) as found:
        await eventually(lambda: len(found) == 3 and first.is_complete)
    await remake(bus, f"KGENTS_{stream}")
    await publish(
        bus, *last("b"), make_topology("c", status="x"), make_health("c", text="x"), make_alert("c", text="x")
    )

    second = getattr(client, name)(position_file=tmp_path / "position")
    async with reading(second) as missed:
        await eventually(lambda: second.is_complete)

    assert second.resets == 1
    assert sorted(lines(missed)) == ["changed c reset", "removed a reset"]
    assert {each.ref.name: each.text for each in missed}["a"] == "pod shop/a is gone"


async def test_a_position_file_of_another_question_is_refused(client: kgents.Client, tmp_path: Path) -> None:
    file = tmp_path / "position"
    stream = client.topology(kind="pod", position_file=file)
    async with reading(stream):
        await eventually(lambda: stream.is_complete)
    with pytest.raises(kgents.ConfigError, match="expected one of 'health --kind pod', found one of 'topology --kind"):
        await anext(aiter(client.health(kind="pod", position_file=file)))


async def test_a_loop_that_was_left_can_be_begun_again_at_once(bus: Bus, client: kgents.Client, tmp_path: Path) -> None:
    await publish(bus, make_topology("a"), make_topology("b"))
    file = tmp_path / "position"
    given = [[change.ref.name async for change in _first(client.topology(position_file=file))] for _ in range(3)]

    assert given == [["a"]] * 3  # none was handled: the second one was never asked for


async def _first(stream: kgents.StateStream[Any]) -> AsyncIterator[kgents.Change[Any]]:
    async for change in stream:
        yield change
        break


async def test_two_readers_of_one_position_file_are_refused(client: kgents.Client, tmp_path: Path) -> None:
    file = tmp_path / "position"
    stream = client.topology(position_file=file)
    async with reading(stream):
        await eventually(lambda: stream.is_complete)
        with pytest.raises(kgents.ConfigError, match="found one; use another file"):
            await anext(aiter(client.topology(position_file=file)))


async def test_a_filter_that_is_not_valid_is_an_error_at_once(client: kgents.Client) -> None:
    with pytest.raises(ValueError, match="expected a level out of"):
        client.health(level="red")
    with pytest.raises(TypeError, match="kindd"):
        client.health(kindd="pod")  # type: ignore[call-arg]  # the mistake that is meant


async def test_a_server_without_the_streams_is_an_error_with_the_next_step(server: NatsServer) -> None:
    async with kgents.connect(server.url) as client:
        with pytest.raises(kgents.ProvisionError, match="kgents provision"):
            await anext(aiter(client.topology()))


async def test_no_server_is_an_error_that_says_why() -> None:
    with pytest.raises(kgents.BusTimeoutError, match=r"no NATS server at nats://127\.0\.0\.1:1"):
        async with kgents.connect("nats://127.0.0.1:1", timeout_s=0.5):
            pass
    with pytest.raises(kgents.ConfigError, match="user and password together"):
        async with kgents.connect(user="someone"):
            pass


async def test_a_message_that_cannot_be_read_is_passed_over(bus: Bus, client: kgents.Client) -> None:
    await publish(bus, make_topology("a"))
    session: Session = await bus.session()
    await session.request(make_ref("poison").subject("topology"), b'{"ref": 5}')
    await session.request(make_ref("poison").subject("health"), b"not even JSON")
    async with reading(client.topology()) as topology, reading(client.entities()) as entities:
        await eventually(lambda: topology and entities)
        await publish(bus, make_topology("b"))
        await eventually(lambda: "b" in [each.ref.name for each in topology])

    assert sorted(each.ref.name for each in topology) == ["a", "b"]
    assert all(each.new is None or each.new.topology is not None for each in entities if each.ref.name != "poison")


async def test_nothing_is_left_on_the_server_by_a_reader_that_leaves(bus: Bus, client: kgents.Client) -> None:
    await publish(bus, make_topology("a"))
    async for _ in client.topology(level="unknown"):
        break
    async with reading(client.entities()):
        pass
    session = await bus.session()

    async def names() -> bool:
        found = [
            await session.api(f"CONSUMER.NAMES.KGENTS_{each}", None, dict) for each in ("TOPOLOGY", "HEALTH", "ALERT")
        ]
        return all(each["consumers"] in (None, []) for each in found)

    await eventually(names)
