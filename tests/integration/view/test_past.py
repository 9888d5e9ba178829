"""The state at a time, with what is no longer known of it, and the versions of one entity."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from kgents_shared.bus import jetstream
from kgents_shared.bus.client import Bus
from kgents_shared.contract.streams import StreamsConfig
from kgents_shared.contract.unread import Unread
from kgents_shared.view import past, stored
from kgents_shared.view.difference import differences
from kgents_shared.view.entity import STATE
from kgents_shared.view.past import Past
from kgents_shared.view.selection import Selection, select
from support.build import make_ref
from support.state import make_alert, make_health, make_topology, publish, remake, removed


async def now(bus: Bus) -> datetime:
    """The server's clock, with a moment before and after it."""
    await asyncio.sleep(0.05)
    info = await (await bus.session()).api("STREAM.INFO.KGENTS_TOPOLOGY", None, dict)
    await asyncio.sleep(0.05)
    return datetime.fromisoformat(info["ts"])


def statuses(found: Past) -> dict[str, str]:
    return {each.ref.name: f"{each.status} {each.level} {len(each.firing)}" for each in found.fold.entities()}


async def test_the_state_at_a_time_is_what_the_streams_held_then(bus: Bus) -> None:
    await publish(bus, make_topology("a"), make_topology("b"), make_health("a", level="critical"), make_alert("a"))
    then = await now(bus)
    await publish(bus, make_topology("a", status="failed"), removed(make_topology("b")), make_topology("c"))
    await publish(bus, make_health("a"), make_alert("a", state="resolved"))

    assert statuses(await past.state_at(bus, select(), then)) == {"a": "running critical 1", "b": "running unknown 0"}
    assert statuses(await past.state_at(bus, select(), await now(bus))) == {
        "a": "failed healthy 0",
        "c": "running unknown 0",
    }


async def test_the_past_is_selected_like_the_present(bus: Bus) -> None:
    await publish(bus, make_topology("a", labels={"app": "cart"}), make_topology("b"), make_health("a"))
    await publish(bus, make_topology(ref=make_ref("n", kind="node")))
    found = await past.state_at(bus, select(kind="pod", label="app=cart", name="a*"), await now(bus))

    assert statuses(found) == {"a": "running healthy 0"}


@pytest.mark.parametrize("selection", [select(), select(kind="pod"), select(name="a*")], ids=["all", "kind", "name"])
@pytest.mark.parametrize("signals", [STATE, ("health",)], ids=["joined", "health alone"])
async def test_what_was_stale_then_was_unknown_then(bus: Bus, selection: Selection, signals: tuple[str, ...]) -> None:
    source = make_topology(ref=make_ref("k8s", kind="source", namespace=""), sources=[])
    await publish(bus, make_topology("a"), make_health("a"))
    at_first = await now(bus)
    await publish(bus, structs.replace(source, unread=[Unread(reason="no heartbeat")]))
    meanwhile = await now(bus)
    await publish(bus, source)

    async def level(time: datetime) -> str:
        found = await past.state_at(bus, selection, time, signals=signals)
        return next(each.level for each in found.fold.entities() if each.ref.name == "a")

    assert [await level(time) for time in (at_first, meanwhile, await now(bus))] == ["healthy", "unknown", "healthy"]


async def test_what_changed_too_often_is_forgotten_and_named(bus: Bus) -> None:
    await remake(bus, "KGENTS_TOPOLOGY", StreamsConfig(history=3))
    await publish(bus, make_topology("calm"), make_topology("busy"))
    then = await now(bus)
    await publish(bus, *(make_topology("busy", status=f"s{number}") for number in range(3)), make_topology("new"))
    found = await past.state_at(bus, select(), then)

    assert statuses(found) == {"calm": "running unknown 0"}
    assert found.forgotten == {"topology": [make_ref("busy").subject("topology")], "health": [], "alert": []}
    assert (await past.state_at(bus, select(name="c*"), then)).forgotten["topology"] == []


async def test_before_its_streams_were_made_nothing_is_known(bus: Bus) -> None:
    await publish(bus, make_topology("a"))
    found = await past.state_at(bus, select(), datetime.now(UTC) - timedelta(days=1))

    assert found.unknown == ["topology", "health", "alert"]
    assert statuses(found) == {}


@pytest.mark.parametrize("replay_factor", [0, stored.REPLAY_FACTOR])
async def test_many_subjects_are_all_read_as_they_were(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, replay_factor: int
) -> None:
    monkeypatch.setattr(stored, "REPLAY_FACTOR", replay_factor)  # 0: never by a replay of the stream
    count = 2 * jetstream.SUBJECTS_PER_REQUEST + 1
    await publish(bus, *(make_topology(f"p{number}") for number in range(count)))
    then = await now(bus)
    await publish(bus, make_topology("p0", status="failed"), removed(make_topology("p1")), make_topology("later"))

    assert statuses(await past.state_at(bus, select(), then)) == {
        f"p{number}": "running unknown 0" for number in range(count)
    }
    assert len(statuses(await past.state_at(bus, select(), await now(bus)))) == count


async def test_two_moments_differ_by_what_happened_between(bus: Bus) -> None:
    await publish(bus, make_topology("a"), make_topology("b"), make_topology("same"), make_health("a"))
    then = await now(bus)
    await publish(bus, make_topology("a", status="failed", reason="OOMKilled"), removed(make_topology("b")))
    await publish(bus, make_topology("c"), make_health("a", level="critical"), make_topology("same"))
    before = await past.state_at(bus, select(), then)
    after = await past.state_at(bus, select(), await now(bus))

    found = differences(before.fold.entities(), after.fold.entities())

    assert [(each.ref.name, each.op) for each in found] == [("a", "changed"), ("b", "removed"), ("c", "added")]
    assert {field.field: (field.old, field.new) for field in found[0].fields} == {
        "status": ("running", "failed"),
        "reason": ("", "OOMKilled"),
        "health.level": ("healthy", "critical"),
        "health.reasons": ([], ["KG-001"]),
    }


async def test_the_history_of_an_entity_is_all_its_versions_oldest_first(bus: Bus) -> None:
    await publish(bus, make_topology("a"), make_topology("other"), make_health("a"), make_alert("a", check="KG-002"))
    await publish(bus, make_topology("a", status="failed"), removed(make_topology("a")))

    found = (await past.history(bus, make_ref("a"))).versions

    assert [(each.signal, each.is_removal) for each in found] == [
        ("topology", False),
        ("health", False),
        ("alert", False),
        ("topology", False),
        ("topology", True),
    ]
    assert [each.view.status for each in found if each.signal == "topology"][:2] == ["running", "failed"]
    assert found[0].at < found[-1].at
    assert (await past.history(bus, make_ref("none"))).versions == []


async def test_the_history_is_as_long_as_the_stream_keeps_it(bus: Bus) -> None:
    await publish(bus, *(make_topology("a", status=f"s{number}") for number in range(20)))

    found = (await past.history(bus, make_ref("a"), signals=["topology"])).versions

    assert [each.view.status for each in found] == [f"s{number}" for number in range(4, 20)]


@pytest.mark.parametrize("is_replayed", [False, True])
async def test_the_state_at_the_time_of_a_version_is_that_version_and_before_the_oldest_one_it_is_not_known(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, *, is_replayed: bool
) -> None:
    if is_replayed:
        monkeypatch.setattr(jetstream, "SUBJECTS_PER_REQUEST", 0)
        monkeypatch.setattr(stored, "REPLAY_FACTOR", 1_000)
    await publish(bus, *(make_topology("a", status=f"s{number}") for number in range(20)))
    kept = (await past.history(bus, make_ref("a"), signals=["topology"])).versions

    for at, status in {each.at: each.view.status for each in kept}.items():
        found = await past.state_at(bus, select(), at, signals=["topology"])
        assert (statuses(found), found.forgotten["topology"]) == ({"a": f"{status} unknown 0"}, [])
    before = await past.state_at(bus, select(), kept[0].at - timedelta(microseconds=1), signals=["topology"])
    assert (statuses(before), before.forgotten["topology"]) == ({}, [make_ref("a").subject("topology")])
