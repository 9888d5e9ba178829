"""Answers that the streams begin and the archive goes on, through every way to ask: a real NATS, a real PostgreSQL."""

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow import timestamp  # type: ignore[import-untyped]
from pyarrow.parquet import read_metadata, read_table  # type: ignore[import-untyped]

from kgents_archiver.app import SERVICE
from kgents_archiver.config import Config
from kgents_archiver.store.database import Database
from kgents_archiver.store.ledger import Epoch
from kgents_archiver.store.reading import Reader
from kgents_archiver.store.writing import Message, Writer
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Position
from kgents_shared.contract.archive import StateRequest, VersionsRequest
from kgents_shared.contract.event import Event
from kgents_shared.contract.streams import StreamsConfig
from kgents_shared.view import past, signal_at
from kgents_shared.view.archive import version_pages
from kgents_shared.view.entity import key_of_ref
from kgents_shared.view.selection import select
from support.archive import archiving, until_level, versions, whole
from support.build import NOW, make_ref
from support.decisions import stored as decided
from support.gateway import serving
from support.incidents import make_incident
from support.kgents_command import run_kgents
from support.nats_server import NatsServer
from support.state import edge, make_health, make_topology, publish, remake, removed
from support.streams import stored
from support.waiting import eventually

CHANGES = StreamsConfig().history + 4
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
async def then(bus: Bus, config: Config, database: Database, tmp_path: Path) -> AsyncIterator[datetime]:
    """A moment that the streams have forgotten: one entity changed too often, another was removed, and is purged."""
    async with archiving(bus, config, tmp_path):
        await eventually(lambda: _has_begun(database))
        await decided(bus, make_incident(title="first"))
        needs = [edge("depends_on", make_ref("gone"))]
        await publish(bus, make_topology("hot", status="first", connections=needs), make_topology("gone"))
        await publish(bus, make_topology("calm"))
        await publish(bus, make_event("old", reason="Old"))
        found = await stored(bus, "KGENTS_TOPOLOGY")
        moment = datetime.fromtimestamp(found[-1].time_ns / 1e9, UTC) + timedelta(milliseconds=1)
        await publish(bus, *(make_topology("hot", status=f"s{number}") for number in range(CHANGES)))
        await decided(bus, *(make_incident(title=f"t{number}", state="resolved") for number in range(CHANGES)))
        await publish(bus, removed(make_topology("gone")))
        await until_level(bus, database)
        session = await bus.session()
        purge = {"filter": make_ref("gone").subject("topology")}
        await session.api("STREAM.PURGE.KGENTS_TOPOLOGY", purge, dict)
        await remake(bus, "KGENTS_EVENT")
        await publish(bus, make_event("new", reason="New"))
        await until_level(bus, database, "topology")
        yield moment


def make_event(name: str, *, reason: str) -> Event:
    ref = make_ref(name)
    return Event(f"{ref}: {reason}", f"{name}-{reason}", ref, "k8s", "Normal", reason, "info", NOW, NOW)


async def _has_begun(database: Database, *, again: int = 0) -> bool:
    async with database.snapshot() as connection:
        return bool(
            await connection.fetchval("select count(*) = $1 from kgents.epoch", len(SERVICE.access.reads) + again)
        )


async def test_every_reader_is_answered_beyond_what_the_streams_hold(
    bus: Bus, server: NatsServer, then: datetime, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The past state, a history, events by pages and a comparison, from HTTP and from commands without a database."""
    monkeypatch.setattr(signal_at, "HISTORY_OF_REMOVED_S", 0)  # what is purged after days is purged at once here
    at = then.isoformat()
    async with serving(bus) as gateway:
        state = await gateway.get("/api/v1/entities", at=at)
        assert {each["ref"]["name"]: each["status"] for each in state["entities"]} == {
            "hot": "first", "gone": "running", "calm": "running",
        }  # fmt: skip
        assert "topology" in {each["signal"] for each in state["archived"]}
        lacks = [each for each in state["remarks"] if "archived until" not in each]  # of calm streams: some seconds ago
        assert (lacks, state["forgotten"]) == ([], [])

        diff = await gateway.get("/api/v1/diff", since=at)
        assert {each["ref"]["name"]: each["op"] for each in diff["entities"]} == {"hot": "changed", "gone": "removed"}

        hot, gone = key_of_ref(make_ref("hot")), key_of_ref(make_ref("gone"))
        for path in (f"entities/{gone}", f"entities/{gone}/impact", f"entities/{hot}/neighbours"):
            found = await gateway.get(f"/api/v1/{path}", at=at)
            assert "topology" in {each["signal"] for each in found["archived"]}, path
            assert found["forgotten"] == [], path
            assert [each["ref"]["name"] for each in found.get("entities", [])] in ([], ["hot"], ["gone"]), path
        assert (await gateway.get(f"/api/v1/entities/{gone}/impact", at=at))["impaired"] == 1
        assert len((await gateway.get("/api/v1/path", source=hot, target=gone, at=at))["paths"]) == 1
        assert [each["id"] for each in (await gateway.get("/api/v1/search", q="gone", at=at))["entities"]] == [gone]
        assert (await gateway.get("/api/v1/health", at=at))["levels"] == {"unknown": 3}
        never = await gateway.client.get(f"/api/v1/entities/{key_of_ref(make_ref('never'))}", params={"at": at})
        assert (never.status_code, "expected the id of an entity" in never.text) == (404, True)
        assert (await gateway.client.get(f"/api/v1/entities/{gone}")).status_code == 404

        (incident,) = (await gateway.get("/api/v1/incidents", at=at))["incidents"]
        assert (incident["title"], incident["state"]) == ("first", "open")

        id_ = key_of_ref(make_ref("hot"))
        found = await gateway.get(f"/api/v1/entities/{id_}/versions")
        assert [each["status"] for each in found["versions"]] == ["first", *(f"s{each}" for each in range(CHANGES))]
        assert [each["is_archived"] for each in found["versions"]].count(False) == StreamsConfig().history
        newest = await gateway.get(f"/api/v1/entities/{id_}/versions", limit=3)
        assert [each["status"] for each in newest["versions"]] == [f"s{CHANGES - 3 + each}" for each in range(3)]

        await eventually(lambda: _has_begun(database, again=1))
        first = await gateway.get("/api/v1/events", limit=1, since="-1h")
        second = await gateway.get("/api/v1/events", limit=1, since="-1h", after_id=first["next"])
        assert [each["reason"] for page in (first, second) for each in page["events"]] == ["New", "Old"]
        assert second["archived"][0]["unread"] == 1, "the stream was made again, which nobody may take for silence"
        whole_hour = await gateway.get("/api/v1/events", since="-1h")
        assert [each["reason"] for each in whole_hour["events"]] == ["New", "Old"]

    history = await run_kgents("history", "pod", "hot", "-o", "json", "--nats", server.url)
    assert [each["message"]["status"] for each in json.loads(history.out)] == [
        "first", *(f"s{each}" for each in range(CHANGES)),
    ]  # fmt: skip
    assert history.err == "from the archive: topology\n"
    events = await run_kgents("events", "--nats", server.url)
    assert [line.split()[-1] for line in events.out.splitlines()] == ["Old", "New"]
    assert "its stream was made again, went back, or was not read for too long" in events.err


async def test_an_analyst_reads_in_parquet_what_the_archive_holds(
    bus: Bus, server: NatsServer, then: datetime, database: Database, tmp_path: Path
) -> None:
    await publish(bus, make_health("calm", level="unknown"), make_health("hot", level="critical", score=0.0))
    await until_level(bus, database, "health")

    async def exported(signal: str) -> Any:
        file = tmp_path / f"{signal}.parquet"
        done = await run_kgents("archive", "export", signal, "--parquet", str(file), "--nats", server.url)
        assert done.code == 0, done.err
        return read_table(file)

    topology = await exported("topology")
    assert topology.schema.field("at").type == timestamp("us", tz="UTC")
    rows = topology.to_pylist()
    assert [each["status"] for each in rows if each["name"] == "hot"] == ["first", *(f"s{n}" for n in range(CHANGES))]
    assert [each["is_removed"] for each in rows if each["name"] == "gone"] == [False, True]
    assert [each["seq"] for each in rows] == [*range(1, len(rows) + 1)]
    assert {each["at"] <= then for each in rows if each["status"] == "first"} == {True}
    assert json.loads(rows[0]["body"])["status"] == "first"

    health = {each["name"]: each for each in (await exported("health")).to_pylist()}
    assert (health["calm"]["level"], health["calm"]["score"]) == ("unknown", None)
    assert (health["hot"]["level"], health["hot"]["score"]) == ("critical", 0.0)

    await eventually(lambda: _has_begun(database, again=1))
    await exported("event")
    assert "made again" in read_metadata(tmp_path / "event.parquet").metadata[b"kgents.remarks"].decode()
    again = await run_kgents(
        "archive", "export", "event", "--parquet", str(tmp_path / "event.parquet"), "--nats", server.url
    )
    assert (again.code, "another name" in again.err) == (1, True)


async def test_of_a_time_before_the_archive_nothing_is_certain(
    bus: Bus, config: Config, database: Database, tmp_path: Path
) -> None:
    await publish(bus, make_topology("hot", status="first"), make_topology("calm"))
    found = await stored(bus, "KGENTS_TOPOLOGY")
    at = (datetime.fromtimestamp(found[-1].time_ns / 1e9, UTC) + timedelta(milliseconds=1)).isoformat()
    await publish(bus, *(make_topology("hot", status=f"s{number}") for number in range(CHANGES)))
    async with archiving(bus, config, tmp_path), serving(bus) as gateway:
        await eventually(lambda: _has_begun(database))
        await until_level(bus, database, "topology")
        subject = make_ref("hot").subject("topology")
        state = await gateway.get("/api/v1/entities", at=at)
        assert ([each["ref"]["name"] for each in state["entities"]], state["forgotten"]) == (["calm"], [subject])
        assert any("the archive reaches back to" in each for each in state["remarks"])
        hot = await gateway.client.get(f"/api/v1/entities/{key_of_ref(make_ref('hot'))}", params={"at": at})
        assert (hot.status_code, "no longer kept" in hot.text) == (404, True)
        diff = await gateway.get("/api/v1/diff", since=at)
        assert {each["ref"]["name"]: each["op"] for each in diff["entities"]} == {"hot": "unknown"}
        assert (await gateway.get("/api/v1/health", at=at))["status"] == "unknown"


async def test_without_an_archiver_the_answer_says_what_is_lost(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    await publish(bus, make_topology("hot", status="first"))
    found = await stored(bus, "KGENTS_TOPOLOGY")
    moment = datetime.fromtimestamp(found[-1].time_ns / 1e9, UTC) + timedelta(milliseconds=1)
    await publish(bus, *(make_topology("hot", status=f"s{number}") for number in range(CHANGES)))
    then = await past.state_at(bus, select(), moment)
    assert then.forgotten["topology"] == [make_ref("hot").subject("topology")]
    assert then.remarks == ["archive: no archiver answers; try: kgents run archiver"]
    history = await past.history(bus, make_ref("hot"))
    assert len(history.versions) == StreamsConfig().history
    assert history.remarks[0] == "topology: its stream keeps the last 16 versions, older are forgotten"
    monkeypatch.setattr(signal_at, "HISTORY_OF_REMOVED_S", 0)
    remarks = (await past.state_at(bus, select(), moment)).remarks
    assert any("what was removed before" in each for each in remarks), "an absent entity may have been there"


async def test_a_request_that_makes_no_sense_is_refused_with_what_was_expected(bus: Bus, then: datetime) -> None:
    session = await bus.session()
    for body, words in (
        (b'{"signal": "topology", "at": "2026-11-01T00:00:00"}', "timezone"),
        (b'{"signal": "pods", "at": "2026-11-01T00:00:00Z"}', "expected a signal out of topology"),
        (b'{"signal": "topology", "at": "2026-11-01T00:00:00Z", "filters": ["x; drop"]}', "expected a NATS filter"),
        (b'{"signal": "topology", "at": "2026-11-01T00:00:00Z", "kind": "pod"}', "unknown field"),
    ):
        answer = await session.request("world.archive.state._", body)
        assert answer.headers is not None
        assert (answer.headers["Nats-Service-Error-Code"], words in answer.headers["Nats-Service-Error"]) == (
            "400", True,
        ), answer.headers  # fmt: skip
    pages = version_pages(bus, VersionsRequest(signal="topology", since=then, until=then, after="elsewhere"))
    with pytest.raises(Exception, match="expected after as `next` of a page"):
        await anext(pages)


async def test_pages_together_are_the_whole(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """In both directions, of all subjects and of some, by count and by bytes, over two lives of the stream."""
    dice = random.Random(5)
    writer = Writer(database, "topology")
    epoch: Epoch | None = None
    expected: list[tuple[int, int]] = []
    for life in (1, 2):  # the second one is an older copy: its first messages are older than the last of the first
        begins = BEGAN + timedelta(hours=2 * (life - 1))
        created = Position(str(life), 0, 0)
        epoch = await writer.begin("KGENTS_TOPOLOGY", str(life), now=begins, last_seq=0, before=epoch)
        messages = []
        for seq in range(1, 60):
            name = dice.choice("abcd")
            subject = f"kgents.topology.test.pod.shop.{name}"
            at = BEGAN + timedelta(hours=life - 1, minutes=seq)
            messages.append(Message(seq, at, subject, False, dice.randbytes(dice.choice((10, 5_000)))))
            expected.append((life, seq))
        end = BEGAN + timedelta(hours=life, minutes=1)
        epoch = await writer.write(
            epoch, messages, [], Position(created.stream_created, 59, int(end.timestamp() * 1e9))
        )
    everything = await versions(database, "topology")
    assert [each.seq for each in everything.messages] == [seq for _, seq in expected]
    assert everything.coverage.unread == 1
    reader = Reader(database)
    monkeypatch.setattr("kgents_archiver.store.reading.PACKED_BYTES_MAX", 12_000)
    for few in (0, 200):
        monkeypatch.setattr("kgents_archiver.store.reading.FEW", few)
        for newest_first in (False, True):
            for names in ("", "ab", "c"):
                filters = tuple(f"kgents.topology.test.pod.shop.{name}" for name in names)
                if names == "c":
                    filters = ("kgents.topology.*.pod.*.c",)
                wanted = [each for each in everything.messages if not names or each.subject[-1] in names]
                asked = VersionsRequest(
                    signal="topology", since=BEGAN, until=BEGAN + timedelta(days=1), filters=filters,
                    newest_first=newest_first, limit=7,
                )  # fmt: skip
                found = (await whole(reader.versions, asked)).messages
                assert found == (wanted[::-1] if newest_first else wanted), (few, newest_first, filters)
    moment = BEGAN + timedelta(hours=5)
    state = (await whole(reader.state, StateRequest(signal="topology", at=moment))).messages
    by_page = (await whole(reader.state, StateRequest(signal="topology", at=moment, limit=1))).messages
    assert ([each.subject[-1] for each in state], by_page) == (["a", "b", "c", "d"], state)
