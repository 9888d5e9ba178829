"""`kgents backup` and `kgents restore`: what is restored is what was copied, and services go on from there."""

import asyncio
import json
import os
import tracemalloc
from pathlib import Path

import pytest

from kgents_cli import object_storage
from kgents_shared.bus.audit import audited
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.jetstream import find_stream
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from support.audit import actions, make_record
from support.build import make_entity, subject_of
from support.kgents_command import run_kgents
from support.nats_server import NatsServer
from support.s3_server import BUCKET, S3Server
from support.service_process import ServiceProcess
from support.streams import stored
from support.truth import health, topology
from support.waiting import eventually

pytestmark = pytest.mark.timeout(240)
AT_THE_COPY = {f"old{number}": "running" for number in range(8)}
MIB = 1024**2
Message = tuple[str, int, int, bytes]


def reported(name: str, status: str = "running") -> Entity:
    """What needs no heartbeat."""
    return make_entity(name, source="billing", status=status, report_interval_s=3600.0)


async def write(bus: Bus, *entities: Entity) -> None:
    session = await bus.session(timeout_s=20)
    for entity in entities:
        await session.request(subject_of(entity), encode(entity))


async def messages(bus: Bus) -> dict[str, list[Message]]:
    """Everything that is copied, with sequences and stored times; but the audit trail, which says that it was."""
    names = [name for signal, name in NAME_BY_SIGNAL.items() if signal not in ("meta", "audit")]
    return {
        name: [(each.subject, each.seq, each.time_ns, each.payload) for each in await stored(bus, name)]
        for name in names
        if await find_stream(await bus.session(), name) is not None
    }


async def write_record(bus: Bus) -> None:
    async with audited(bus, make_record(action="token")):
        pass


async def statuses(bus: Bus) -> dict[str, str]:
    return {ref.name: entity.status for ref, entity in (await topology(bus)).items() if ref.kind == "pod"}


async def unwell(bus: Bus) -> set[str]:
    return {ref.name for ref, each in (await health(bus)).items() if ref.kind == "pod" and each.level == "critical"}


async def test_what_is_restored_is_what_was_copied(bus: Bus, server: NatsServer, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    await write(bus, *(reported(f"pod{number}") for number in range(500)), reported("pod1", "failed"))
    before = await messages(bus)
    assert sum(map(len, before.values())) == 500

    done = await run_kgents("backup", str(copy), "--nats", server.url)
    assert (done.code, "KGENTS_ENTITY: 500 messages" in done.out) == (0, True)
    again = await run_kgents("backup", str(copy), "--nats", server.url)
    assert (again.code, "expected a new or empty directory" in again.err) == (2, True)
    refused = await run_kgents("restore", str(copy), "--nats", server.url)
    assert (refused.code, "nothing was changed" in refused.err) == (1, True)
    await write(bus, reported("pod7", "failed"))
    await write_record(bus)
    again = await run_kgents("restore", str(copy), "--replace", "--nats", server.url)
    assert (again.code, "KGENTS_AUDIT is kept" in again.err) == (0, True)
    assert await messages(bus) == before
    assert await actions(bus) == [("token", "done"), ("restore", "done")]
    trail = ("restore", str(copy), "--replace", "--stream", "KGENTS_AUDIT")
    assert (await run_kgents(*trail, "--nats", server.url)).code == 1

    async with NatsServer(tmp_path / "other") as other, Bus(NatsConfig(url=other.url), name="test") as elsewhere:
        assert (await run_kgents("restore", str(copy), "--nats", other.url)).code == 0
        assert await messages(elsewhere) == before
        assert await actions(elsewhere) == [("restore", "done")]
        await write(elsewhere, reported("new"))
        assert (await stored(elsewhere, "KGENTS_ENTITY"))[-1].seq == before["KGENTS_ENTITY"][-1][1] + 1


async def test_a_damaged_or_unfinished_backup_changes_nothing(bus: Bus, server: NatsServer, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    await write(bus, reported("pod1"))
    assert (await run_kgents("backup", str(copy), "--nats", server.url)).code == 0
    before = await messages(bus)

    file = copy / "KGENTS_ENTITY.tar.s2"
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    flipped = await run_kgents("restore", str(copy), "--replace", "--nats", server.url)
    assert (flipped.code, "its SHA-256 differs" in flipped.err) == (1, True)

    file.write_bytes(whole)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["streams"][0]["file"] = "../elsewhere"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert (await run_kgents("restore", str(copy), "--replace", "--nats", server.url)).code == 1
    (copy / "manifest.json").unlink()
    unfinished = await run_kgents("restore", str(copy), "--replace", "--nats", server.url)
    assert (unfinished.code, "it was not finished" in unfinished.err) == (1, True)
    assert await messages(bus) == before


async def test_a_backup_in_a_storage_is_restored_and_one_that_is_damaged_or_not_ours_is_refused(
    bus: Bus, server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(bus, *(reported(f"pod{number}") for number in range(50)))
    before = await messages(bus)
    async with S3Server(tmp_path / "storage") as storage:
        for name, value in storage.environ.items():
            monkeypatch.setenv(name, value)
        place = f"s3://{BUCKET}/kgents/2026-11-29"
        done = await run_kgents("backup", place, "--nats", server.url)
        assert (done.code, "KGENTS_ENTITY: 50 messages" in done.out) == (0, True), done.err
        again = await run_kgents("backup", place, "--nats", server.url)
        assert (again.code, f"found a backup in {place}" in again.err) == (2, True)

        await write(bus, reported("later"))
        done = await run_kgents("restore", place, "--replace", "--nats", server.url)
        assert (done.code, await messages(bus) == before) == (0, True), done.err

        file = storage.file_of("kgents/2026-11-29/KGENTS_ENTITY.tar.s2")
        whole = file.read_bytes()
        file.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        flipped = await run_kgents("restore", place, "--replace", "--nats", server.url)
        assert (flipped.code, "its SHA-256 differs" in flipped.err) == (1, True)
        missing = await run_kgents("restore", f"{place}-not", "--nats", server.url)
        assert (missing.code, "404" in missing.err) == (1, True)

        (tmp_path / "wrong").write_text("another's")
        monkeypatch.setenv("KGENTS__BACKUP__S3_ACCESS_KEY_FILE", str(tmp_path / "wrong"))
        refused = await run_kgents("backup", f"{place}-2", "--nats", server.url)
        assert (refused.code, "403" in refused.err, "another's" in refused.err) == (1, True, False)
    assert await messages(bus) == before


async def test_a_large_file_is_stored_in_parts_without_being_in_memory_and_what_fails_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_storage, "PART_BYTES", 5 * MIB)
    file, copy = tmp_path / "large", tmp_path / "copy"
    file.write_bytes(os.urandom(12 * MIB + 17))
    async with S3Server(tmp_path / "storage") as server:
        storage = server.storage("kgents/2026-11-29")
        tracemalloc.start()
        await asyncio.to_thread(storage.put, "large", file, "")
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
        tracemalloc.stop()
        await asyncio.to_thread(storage.get, "large", copy)
        assert copy.read_bytes() == file.read_bytes()

        whole = file.stat().st_size
        monkeypatch.setattr(object_storage, "parts_of", lambda _: (range(6 * MIB), range(6 * MIB, whole + 1)))
        with pytest.raises(KgentsError, match="it became shorter"):
            await asyncio.to_thread(storage.put, "shorter", file, "")
        assert not await asyncio.to_thread(storage.has, "shorter")
        await eventually(lambda: server.refused("shorter?uploadId=") == 1)  # it was asked to abort; this one cannot


async def test_services_go_on_from_the_restored_streams(bus: Bus, server: NatsServer, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    await write(bus, *(reported(name) for name in AT_THE_COPY))
    async with (
        ServiceProcess("topology-builder", server.url, tmp_path),
        ServiceProcess("health-scorer", server.url, tmp_path),
    ):

        async def shows(expected: dict[str, str]) -> bool:
            failed = {name for name, status in expected.items() if status == "failed"}
            return await statuses(bus) == expected and await unwell(bus) == failed

        await eventually(lambda: shows(AT_THE_COPY), within_s=60)
        assert (await run_kgents("backup", str(copy), "--nats", server.url)).code == 0
        await write(bus, reported("old1", "failed"), reported("lost"))
        await eventually(lambda: shows({**AT_THE_COPY, "old1": "failed", "lost": "running"}), within_s=60)

        assert (await run_kgents("restore", str(copy), "--replace", "--nats", server.url)).code == 0
        await eventually(lambda: shows(AT_THE_COPY), within_s=90)
        await write(bus, reported("old2", "failed"), reported("new"))
        await eventually(lambda: shows({**AT_THE_COPY, "old2": "failed", "new": "running"}), within_s=60)
