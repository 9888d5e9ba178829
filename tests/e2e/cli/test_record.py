"""`kgents record` and `kgents replay`: what was observed once, observed again."""

import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nats.aio.client import Client

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.publish import TTL
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, EVENT, META, PULSE, encode
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.meta import LEASE, Heartbeat, Lease
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.recording import MADE, PUBLISHED, SIGNALS, STATE, Recording, Row
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from support.build import make_entity, make_removal
from support.kgents_command import Kgents, publish, result_of, start_kgents
from support.nats_server import NatsServer
from support.state import make_event
from support.streams import keep_all, readers, stored
from support.waiting import eventually, pause

CANARY = "kept as it is"


@pytest.fixture
async def bus(server: NatsServer, client: Client) -> AsyncIterator[Bus]:
    async with Bus(NatsConfig(url=server.url), name="test") as bus:
        yield bus


def ref(name: str, cluster: str = "prod") -> Ref:
    return Ref(cluster, "pod", name, "shop")


def entity(name: str, status: str = "running") -> Entity:
    return make_entity(ref=ref(name), source="k8s", status=status, attributes={"note": CANARY})


async def beat(client: Client, cluster: str = "prod") -> None:
    heartbeat = Heartbeat("in sync", "collector-k8s", "one", "1", datetime.now(UTC), "in_sync", source="k8s")
    subject = subjects.build("meta", cluster=cluster, service="collector-k8s", instance="one")
    await client.request(subject, encode(heartbeat), headers={TTL: "15s"})


def read(file: Path) -> list[Row]:
    with file.open("rb") as opened:
        return list(Recording(opened).rows())


async def has_read(bus: Bus) -> bool:
    """Whether the recorder has been sent all that the streams hold."""
    return all([await readers(bus, NAME_BY_SIGNAL[each]) == 1 for each in (*SIGNALS, *MADE)])


async def recorded(server: NatsServer, client: Client, bus: Bus, file: Path) -> None:
    """A pod that is there, one that fails, one that goes; a sample, an event, a report of the collector."""
    for name in ("stays", "fails", "goes"):
        await publish(client, entity(name))
    await beat(client)
    process = await start_kgents("record", str(file), "--nats", server.url)
    await eventually(lambda: has_read(bus))  # so that what follows is no longer its state
    await publish(client, entity("fails", "failed"))
    await publish(client, make_removal(entity("goes")))
    await publish(client, make_event(ref=ref("fails")))
    await publish(client, ResourcePulse(ref=ref("stays"), source="k8s", timestamp=datetime.now(UTC), interval_s=5))
    await eventually(lambda: has_read(bus))
    await pause(0.5)  # what was sent to it has come
    process.send_signal(signal.SIGINT)
    code, _, err = await result_of(process)
    assert code == 0, err
    assert "try: kgents replay" in err


async def entities(bus: Bus, cluster: str) -> dict[str, Entity]:
    view = StateView(bus, ENTITY, "KGENTS_ENTITY", [subjects.pattern("entity", cluster=cluster)])
    await view.load()
    return {row.message.ref.name: row.message for row in view.rows.values() if not row.message.is_removal}


async def test_a_recording_holds_the_state_and_then_what_came(
    server: NatsServer, client: Client, bus: Bus, tmp_path: Path
) -> None:
    file = tmp_path / "incident.kgrec"
    await recorded(server, client, bus, file)
    rows = read(file)
    assert [row.signal for row in rows if row.kind == STATE] == ["entity"] * 3 + ["meta"]
    assert [row.signal for row in rows if row.kind == PUBLISHED] == ["entity", "entity", "event", "pulse"]
    assert all(CANARY.encode() in row.body for row in rows[:3])
    assert not file.with_name(f"{file.name}.part").exists()


async def test_a_replay_is_the_same_in_another_cluster_and_leaves_nothing(
    server: NatsServer, client: Client, bus: Bus, tmp_path: Path
) -> None:
    file = tmp_path / "incident.kgrec"
    await recorded(server, client, bus, file)
    original = await entities(bus, "prod")
    await keep_all(bus, "KGENTS_ENTITY")
    await keep_all(bus, "KGENTS_META")
    code, _, err = await result_of(await start_kgents("replay", str(file), "--as", "again", "--nats", server.url))
    assert code == 0, err
    again = [ENTITY.decode(each.payload) for each in await stored(bus, "KGENTS_ENTITY", "kgents.entity.again.>")]
    came = [(each.ref.name, "gone" if each.is_removal else each.status) for each in again]
    assert came == [
        *(("stays", "running"), ("fails", "running"), ("goes", "running"), ("fails", "failed"), ("goes", "gone")),
        *(("stays", "gone"), ("fails", "gone")),
    ]
    assert await entities(bus, "again") == {}
    assert await entities(bus, "prod") == original
    pulses = [PULSE.decode(each.payload) for each in await stored(bus, "KGENTS_PULSE")]
    first, second = pulses
    assert [each.ref.cluster for each in pulses] == ["prod", "again"]
    assert second.timestamp > first.timestamp
    events = [EVENT.decode(each.payload) for each in await stored(bus, "KGENTS_EVENT")]
    assert [each.ref for each in events] == [ref("fails"), ref("fails", "again")]
    lease = await stored(bus, "KGENTS_META", "kgents.meta.again.collector-k8s.lease")
    held = META.decode(lease[0].payload)
    assert isinstance(held, Lease)
    assert held.holder.startswith("one/"), "no other collector of that cluster begins meanwhile"
    beats = StateView(bus, META, "KGENTS_META", [subjects.pattern("meta", cluster="again")])
    await beats.load()
    assert [row.message.state for row in beats.rows.values() if isinstance(row.message, Heartbeat)] in ([], ["stopped"])


async def test_an_entity_says_that_it_is_replayed(server: NatsServer, client: Client, bus: Bus, tmp_path: Path) -> None:
    file = tmp_path / "incident.kgrec"
    await recorded(server, client, bus, file)
    result = await result_of(await start_kgents("replay", str(file), "--hold", "--nats", server.url))
    assert result.code == 0, result.err
    found = await entities(bus, "replay-prod")
    assert {each.attributes["kgents.replayed_from"] for each in found.values()} == {"incident.kgrec"}
    assert found["stays"].attributes["note"] == CANARY


async def test_a_cluster_that_is_observed_is_not_replayed_into(
    server: NatsServer, client: Client, bus: Bus, kgents: Kgents, tmp_path: Path
) -> None:
    file = tmp_path / "incident.kgrec"
    await recorded(server, client, bus, file)
    held = Lease("held", "two/1", datetime.now(UTC))
    subject = subjects.build("meta", cluster="begins", service="collector-k8s", instance=LEASE)
    await client.request(subject, encode(held))
    result = await kgents("replay", str(file), "--as", "begins")
    assert result.code == 1
    assert "expected the lease of collector-k8s in begins to be free, found that two/1 holds it" in result.err
    await beat(client, "live")
    result = await kgents("replay", str(file), "--as", "live")
    assert result.code == 1
    assert "found collector-k8s at work in live; try: another name with --as" in result.err


async def test_what_is_no_whole_recording_is_said(
    server: NatsServer, client: Client, bus: Bus, kgents: Kgents, tmp_path: Path
) -> None:
    file = tmp_path / "incident.kgrec"
    await recorded(server, client, bus, file)
    assert (await kgents("record", str(file))).code == 2
    other = tmp_path / "other"
    other.write_text("something else", encoding="utf-8")
    assert "expected a recording of `kgents record`, found another file" in (await kgents("replay", str(other))).err
    cut = tmp_path / "cut.kgrec"
    cut.write_bytes(file.read_bytes()[:-40])
    result = await kgents("replay", str(cut), "--as", "cut")
    assert result.code == 1
    assert "it was cut off after 8 messages" in result.err
