"""`kgents replay` at its limits: judged without NATS as with it, faster, in part; and what was recorded of a replay."""

import gzip
import re
import signal
from importlib.resources import files
from pathlib import Path

from nats.aio.client import Client

from kgents_cli.alerting.author import user
from kgents_cli.demonstration import FILE
from kgents_cli.recorded.canonical import canonical
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, HEALTH
from kgents_shared.contract.recording import Recording, Row
from support.audit import trail, writes
from support.kgents_command import Kgents, result_of, run_kgents, start_kgents
from support.nats_server import NatsServer
from support.recorded_incident import POD, beat, entity, incident, judged, write, written
from support.waiting import eventually


def read(file: Path) -> list[Row]:
    with file.open("rb") as opened:
        return list(Recording(opened).rows())


async def test_a_recording_is_judged_without_nats(tmp_path: Path) -> None:
    file = write(tmp_path / "incident.kgrec", incident())
    result = await run_kgents("replay", str(file), "--offline", "-o", "json")
    assert result.code == 0, result.err
    assert result.out.encode() == judged(incident())
    words = await run_kgents("replay", str(file), "--offline", "--until", "60s")
    assert words.code == 0, words.err
    assert "database orders uses 100 % of its connections" in words.out
    assert "Resolved" not in words.out, "it ends later"
    assert "appeared" not in words.out, "what is there at the beginning is no change"
    assert "2 entities in the end: 1 critical, 0 warning, 0 unknown, 1 healthy" in words.err
    for flags in (["--hold"], ["--as", "x"], ["--speed", "2"], ["--nats", "nats://127.0.0.1:1"]):
        assert (await run_kgents("replay", str(file), "--offline", *flags)).code == 2
    assert (await run_kgents("replay", str(file), "-o", "json")).code == 2


async def test_a_recording_that_is_cut_off_is_judged_as_far_as_it_goes(tmp_path: Path) -> None:
    file = tmp_path / "cut.kgrec"
    file.write_bytes(written(incident())[:-30])
    result = await run_kgents("replay", str(file), "--offline", "-o", "json")
    assert result.code == 1
    assert "it was cut off after" in result.err
    assert result.out.encode() == judged(incident())[: len(result.out.encode())]
    assert '"state":"resolved"' in result.out
    whole = tmp_path / "whole.kgrec"
    copied = await run_kgents("record", "--from", str(file), str(whole))
    assert copied.code == 1
    assert f"what could be read is in {whole}" in copied.err
    assert read(whole) == sorted(incident(), key=lambda each: each.at_us)


async def test_a_recording_without_names_is_made_of_another(tmp_path: Path) -> None:
    file = write(tmp_path / "incident.kgrec", incident())
    shared = tmp_path / "shared.kgrec"
    result = await run_kgents("record", "--from", str(file), "--redact", str(shared))
    assert result.code == 0, result.err
    with shared.open("rb") as opened:
        recording = Recording(opened)
        assert recording.header.clusters == ["cluster-1"]
        content = b"".join(row.subject.encode() + row.body for row in recording.rows())
    assert not [name for name in (b"cart", b"orders", b"shop", b"prod") if name in content]
    assert '"check":"KG-301"' in (await run_kgents("replay", str(shared), "--offline", "-o", "json")).out
    assert (await run_kgents("record", "--from", str(file), "--for", "1m", str(tmp_path / "x"))).code == 2


async def consumers(bus: Bus) -> int:
    """How many readers follow the streams of collectors."""
    session, found = await bus.session(), 0
    for stream in ("KGENTS_ENTITY", "KGENTS_META", "KGENTS_PULSE", "KGENTS_EVENT"):
        answer = await session.request(f"$JS.API.CONSUMER.LIST.{stream}", b"{}")
        found += b'"stream_name"' in answer.data
    return found


async def test_a_recording_of_a_replay_has_the_same_canonical_form(
    server: NatsServer, client: Client, tmp_path: Path
) -> None:
    rows = [row for row in incident() if row.at_us < 60_000_000]
    file, again = write(tmp_path / "incident.kgrec", rows), tmp_path / "again.kgrec"
    recorder = await start_kgents("record", str(again), "--nats", server.url)
    async with Bus(NatsConfig(url=server.url), name="test") as bus:

        async def is_attached() -> bool:
            return await consumers(bus) == 4

        await eventually(is_attached)
    replay = await result_of(await start_kgents("replay", str(file), "--speed", "30", "--hold", "--nats", server.url))
    assert replay.code == 0, replay.err
    recorder.send_signal(signal.SIGINT)
    recorded = await result_of(recorder)
    assert recorded.code == 0, recorded.err
    assert bodies(again) == bodies(file)


def bodies(file: Path) -> list[bytes]:
    """The canonical form; without the times, which a faster replay has compressed."""
    return [re.sub(rb'"\d{4}-\d\d-\d\dT[^"]*"', b"T", line) for line in canonical(read(file))]


async def test_a_replay_ends_where_it_should(
    server: NatsServer, client: Client, kgents: Kgents, tmp_path: Path
) -> None:
    file = write(tmp_path / "incident.kgrec", incident())
    result = await kgents("replay", str(file), "--until", "56s", "--speed", "60", "--hold", "--as", "part")
    assert result.code == 0, result.err
    async with Bus(NatsConfig(url=server.url), name="test") as bus:
        view = StateView(bus, ENTITY, "KGENTS_ENTITY", [subjects.pattern("entity", cluster="part")])
        await view.load()
        assert {row.message.ref.name: row.message.status for row in view.rows.values()} == {
            "orders": "running",
            "cart-7f": "pending",
        }
        assert await trail(bus) == [("replay", "cli", user(), f"recording {file.name}", "done")]
        [record] = [each.record for each in await writes(bus)]
        assert record.cluster == "part"
        assert record.after == {"file": str(file), "as": "part", "hold": True, "speed": 60.0}
    assert (await kgents("replay", str(file), "--speed", "0.1")).code == 2
    assert (await kgents("replay", str(file), "--until", "soon")).code == 2


async def test_services_judge_a_replay_as_it_is_judged_without_them(
    server: NatsServer, client: Client, tmp_path: Path
) -> None:
    reason = {"reason": "CrashLoopBackOff"}
    rows = [beat(-1, "k8s"), entity(-60, POD, "k8s", uid="p1"), entity(1, POD, "k8s", "failed", uid="p1", **reason)]
    file = write(tmp_path / "short.kgrec", [*rows, beat(2, "k8s")])
    expected = [
        HEALTH.decode(line) for line in judged(rows).splitlines() if line.startswith(b'{"text":"Critical: pod')
    ][-1]
    names = ("topology-builder", "health-scorer")
    services = [await start_kgents("run", name, "--nats", server.url, "--cluster", "again") for name in names]
    replay = await result_of(await start_kgents("replay", str(file), "--hold", "--as", "again", "--nats", server.url))
    assert replay.code == 0, replay.err
    async with Bus(NatsConfig(url=server.url), name="test") as bus:
        view = StateView(bus, HEALTH, "KGENTS_HEALTH", [subjects.pattern("health", cluster="again", kind="pod")])

        async def is_judged_so() -> bool:
            await view.load()
            found = [row.message for row in view.rows.values()]
            return [(each.level, [one.check for one in each.reasons]) for each in found] == [
                (expected.level, [one.check for one in expected.reasons])
            ]

        await eventually(is_judged_so, within_s=30)

        async def says_so() -> bool:
            shown = (await run_kgents("alerts", "--nats", server.url)).err
            return "what is shown of again is replayed from short.kgrec, not observed now" in shown

        await eventually(says_so, within_s=30)
    assert expected.level == "critical"
    for each in services:
        each.terminate()
        await each.wait()


async def test_a_recording_of_several_clusters_is_not_replayed_as_one() -> None:
    result = await run_kgents("replay", str(files("kgents_cli") / FILE), "--as", "shop", "--nats", "nats://127.0.0.1:1")
    assert result.code == 1
    assert "expected one cluster to replay as shop, found demo-shop-eu, demo-shop-us; try: without --as" in result.err


async def test_a_file_of_a_newer_kgents_is_named(tmp_path: Path) -> None:
    file = tmp_path / "newer.kgrec"
    header = b'{"kgents_recording":9,"min_reader":9,"clusters":[],"started_at":"2026-01-01T00:00:00Z"}\n'
    file.write_bytes(gzip.compress(header))
    for command in (("replay", str(file), "--offline"), ("record", "--from", str(file), str(tmp_path / "copy"))):
        result = await run_kgents(*command)
        assert result.code == 1
        assert result.err.endswith("found 9; try: a newer kgents\n"), "and nothing that does not help"
    assert not (tmp_path / "copy").exists()
