"""Every write through us is recorded before it is done, once; and without its record nothing is written."""

import json
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest

from kgents_cli.commands.permissions import of_login
from kgents_shared.bus.audit import audited, decide
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.contract.errors import BusError, DecidedError, ProvisionError
from kgents_shared.runtime.config import CommonConfig
from support import streams
from support.audit import actions, make_record, records, writes
from support.build import NOW
from support.decisions import make_silence, stored
from support.gateway import caught_up, serving
from support.incidents import make_incident
from support.kgents_command import Result, run_kgents
from support.nats_server import NatsServer
from support.permitted import login, server_of
from support.permitted import permitted as as_user
from support.process import spawn_async
from support.state import make_topology, publish
from support.streams import provision_streams
from support.waiting import eventually, within

CANARY: Final = "kgents_cAnArYcAnArYcAnArYcAnArY"
INCIDENT: Final = make_incident(revision=4, severity_revision=2)
DYING: Final = """
import asyncio, os, signal, sys
from kgents_cli.commands.permissions import of_login
from kgents_shared.bus.audit import audited
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.contract.audit import AuditRecord

async def main():
    async with Bus(NatsConfig(url=sys.argv[1]), name="dying") as bus:
        record = AuditRecord(
            text="t", cluster="test", action="restore", id="1", stage="begun", by="ada", via="cli", target="backup x"
        )
        async with audited(bus, record):
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def at(server: NatsServer) -> Callable[..., Awaitable[Result]]:
    async def kgents(*words: str) -> Result:
        return await run_kgents(*words, "--nats", server.url)

    return kgents


async def test_decisions_on_the_command_line_say_who_what_from_where_and_what_was_before(
    bus: Bus, server: NatsServer
) -> None:
    kgents = at(server)
    await stored(bus, INCIDENT)
    assert (await kgents("alerts", "ack", INCIDENT.id, "--by", "ada", "--note", f"token={CANARY}")).code == 0
    again = ("alerts", "ack", INCIDENT.id, "--by", "bob")
    assert (await kgents(*again)).code == 0
    words = ("alerts", "silence", "namespace=shop", "--reason", "upgrade", "--by", "ada", "--cluster", INCIDENT.cluster)
    silence = json.loads((await kgents(*words, "-o", "json")).out)[0]
    assert (await kgents("alerts", "unsilence", silence["id"], "--by", "bob")).code == 0

    found = await writes(bus)
    assert [(each.record.action, each.record.by, each.outcome) for each in found] == [
        ("acknowledge", "ada", "done"),
        ("acknowledge", "bob", "done"),
        ("silence", "ada", "done"),
        ("unsilence", "bob", "done"),
    ]
    first, second, begin, end = (each.record for each in found)
    assert (first.before, first.via, "@" in first.origin) == (None, "cli", True)
    assert first.target == f"incident {INCIDENT.id}"
    assert second.before is not None
    assert (second.before["by"], second.before["revision"]) == ("ada", 4)
    assert (begin.before, begin.after and begin.after["reason"], end.after) == (None, "upgrade", None)
    assert end.before is not None
    assert end.before["reason"] == "upgrade"
    assert CANARY not in repr(found)

    listed = json.loads((await kgents("audit", "ls", "--who", "bob", "-o", "json")).out)
    assert [(each["action"], each["outcome"]) for each in listed] == [("acknowledge", "done"), ("unsilence", "done")]
    shown = (await kgents("audit", "ls", "--target", f"incident {INCIDENT.id[:6]}*")).out.splitlines()[1:]
    assert [line.rpartition("  ")[2] for line in shown] == ["done", "done"]


async def test_decisions_over_http_name_the_identity_and_the_address(bus: Bus) -> None:
    path = f"/api/v1/incidents/{INCIDENT.id}/acknowledgement"
    quiet = f"/api/v1/silences/{INCIDENT.cluster}/quiet"
    body = {"matchers": [{"field": "namespace", "value": "shop"}], "duration_s": 60, "reason": f"password={CANARY}"}
    async with serving(bus) as gateway:
        await publish(bus, make_topology("cart", ref=INCIDENT.root.ref))
        await stored(bus, INCIDENT)
        await caught_up(bus, gateway)
        await eventually(lambda: gateway.gateway.incidents.with_id(INCIDENT.id) is not None)
        for _ in range(2):  # what is so already is not written again
            assert (await gateway.client.put(path, json={})).status_code == 200
            assert (await gateway.client.put(quiet, json=body)).status_code == 200
        assert (await gateway.client.put(quiet, json={**body, "matchers": []})).status_code == 400
        for each in (path, quiet):
            assert (await gateway.client.delete(each)).status_code == 200

    found = await writes(bus)
    assert [(each.record.action, each.outcome) for each in found] == [
        ("acknowledge", "done"), ("silence", "done"), ("unacknowledge", "done"), ("unsilence", "done"),
    ]  # fmt: skip
    assert {(each.record.via, each.record.origin) for each in found} == {("http", "127.0.0.1")}
    assert [each.record.before is None for each in found] == [True, True, False, False]
    assert CANARY not in repr(found)


async def test_set_up_is_recorded_by_what_it_changes(server: NatsServer, tmp_path: Path) -> None:
    kgents = at(server)
    assert (await kgents("provision")).code == 0
    assert (await kgents("provision")).code == 0
    tokens = tmp_path / "tokens"
    made = await kgents("token", "grafana", "--file", str(tokens), "--namespace", "shop")
    assert made.code == 0
    async with Bus(NatsConfig(url=server.url), name="test") as bus:
        provision, token = await writes(bus)
        kept = await streams.log(bus, "KGENTS_AUDIT")
    assert (provision.record.action, provision.outcome, token.record.action) == ("provision", "done", "token")
    assert provision.record.after is not None
    assert any(each.startswith("create KGENTS_ENTITY") for each in provision.record.after["steps"])
    assert token.record.after is not None
    assert (token.record.after["name"], token.record.after["namespaces"]) == ("grafana", ["shop"])
    secret, digest = made.out.strip(), tokens.read_text().split()[1]
    assert secret
    assert not any(each in message.payload.decode() for message in kept for each in (secret, digest))


async def test_without_any_nats_a_token_is_made_and_the_lack_of_a_record_is_said(tmp_path: Path) -> None:
    words = ("token", "grafana", "--file", str(tmp_path / "tokens"), "--nats", "nats://127.0.0.1:1")
    made = await run_kgents(*words)
    assert (made.code, "not in the audit trail" in made.err) == (0, True)


async def test_a_nats_that_takes_no_record_refuses_the_write(bus: Bus, server: NatsServer, tmp_path: Path) -> None:
    kgents = at(server)
    await (await bus.session()).api("STREAM.DELETE.KGENTS_AUDIT", None, dict)
    refused = await kgents("alerts", "silence", "namespace=shop", "--cluster", "test")
    assert (refused.code, "nothing was changed; try: kgents provision" in refused.err) == (1, True)
    assert await streams.stored(bus, "KGENTS_SILENCE") == []
    made = await kgents("token", "grafana", "--file", str(tmp_path / "tokens"))
    assert (made.code, "not in the audit trail" in made.err) == (0, True), "a file needs no NATS"
    with pytest.raises(ProvisionError, match="kgents provision"):
        await decide(bus, make_silence("a"), replaces_seq=0, before=None, origin="", now=NOW)


async def test_what_is_refused_says_so_and_what_ended_in_between_is_not_known(bus: Bus, server: NatsServer) -> None:
    await stored(bus, make_silence("a"))
    with pytest.raises(DecidedError):
        await decide(bus, make_silence("a"), replaces_seq=0, before=None, origin="", now=NOW)
    dying = await spawn_async(sys.executable, "-c", DYING, server.url)
    async with within(30):
        assert await dying.wait() == -signal.SIGKILL
    with pytest.raises(BusError, match="later"):
        async with audited(bus, make_record()):
            raise BusError("later")

    found = await writes(bus)
    assert [(each.record.action, each.outcome) for each in found] == [
        ("silence", "failed"), ("restore", None), ("restore", "failed"),
    ]  # fmt: skip
    assert ["someone else" in each.why for each in found] == [True, False, False]
    listed = await at(server)("audit", "ls")
    assert [line.rstrip().endswith("not known") for line in listed.out.splitlines()[1:]] == [False, True, False]


async def test_a_write_during_which_nats_ends_is_recorded_when_it_is_back(bus: Bus, server: NatsServer) -> None:
    async with audited(bus, make_record()):
        server.kill()
        await server.start()
    assert await actions(bus) == [("restore", "done")]
    assert [each.stage for each in await records(bus)] == ["begun", "done"]


async def test_a_record_that_is_sent_again_is_stored_once(bus: Bus) -> None:
    record = make_record()
    for _ in range(2):
        async with audited(bus, record):
            pass
    assert [each.stage for each in await records(bus)] == ["begun", "done"]


async def test_no_one_removes_a_record_not_even_its_author(bus: Bus) -> None:
    async with audited(bus, make_record()):
        pass
    session = await bus.session()
    before = await records(bus)
    for request, body in (("MSG.DELETE", {"seq": 1}), ("PURGE", {})):
        with pytest.raises(BusError):
            await session.api(f"STREAM.{request}.KGENTS_AUDIT", body, dict)
    for headers in ({"Nats-Rollup": "all"}, {"Nats-Rollup": "sub"}, {"Nats-TTL": "1s"}):
        answer = await session.request(before[0].subject, b"{}", headers=headers)
        assert b'"error"' in answer.data, headers
    info = await session.api("STREAM.INFO.KGENTS_AUDIT", None, dict)
    for change in ({"deny_delete": False}, {"deny_purge": False}):
        with pytest.raises(BusError):
            await session.api("STREAM.UPDATE.KGENTS_AUDIT", {**info["config"], **change}, dict)
    assert await records(bus) == before


@pytest.mark.parametrize(("who", "may"), [("reader", ()), ("operator", ("silence",)), ("provision", ("token",))])
async def test_who_reads_does_not_write_and_who_writes_records_only_what_they_do(
    tmp_path: Path, who: str, may: tuple[str, ...]
) -> None:
    permissions = of_login(who, CommonConfig(), [], users=["limited"])
    async with server_of(tmp_path, as_user(permissions)) as server:
        async with Bus(login(server.url, "admin"), name="cli") as admin:
            await provision_streams(admin)
            async with audited(admin, make_record()):
                pass
        async with Bus(login(server.url, "limited"), name="cli") as limited:
            session = await limited.session(timeout_s=20)
            for action in ("silence", "token", "restore", "anchor"):
                await session.publish(f"kgents.audit.test.{action}", b"{}")
        async with Bus(login(server.url, "admin"), name="cli") as admin:
            found = [each.subject.rpartition(".")[2] for each in await streams.log(admin, "KGENTS_AUDIT")]
    assert tuple(found[2:]) == may


async def test_what_set_up_a_hub_is_recorded_with_its_streams(server: NatsServer, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    words = ("edge", "init", str(hub), "--host", "127.0.0.1", "--port", str(server.port), "--no-tls")
    made = await run_kgents(*words)
    assert "not in the audit trail yet: its NATS does not run yet" in made.err
    edge = ("edge", "new", "paris", "--hub", str(hub), "--url", "nats://h:7422", "--dir", str(tmp_path / "edge"))
    assert (await run_kgents(*edge)).code == 0  # its NATS runs, and has no trail
    assert (await run_kgents("provision", "--config", str(hub / "kgents.yaml"))).code == 0
    async with Bus(NatsConfig(url=server.url), name="test") as bus:
        found = await writes(bus)
    assert {(each.record.action, each.outcome) for each in found} == {
        ("provision", "done"), ("edge-init", "done"), ("edge-new", "done"),
    }  # fmt: skip


async def test_a_new_edge_says_where_it_is_made_and_no_key_of_it(bus: Bus, server: NatsServer, tmp_path: Path) -> None:
    hub, edge = tmp_path / "hub", tmp_path / "edge"
    assert (await run_kgents("edge", "init", str(hub), "--host", "h", "--no-tls")).code == 0
    words = ("edge", "new", "paris", "--hub", str(hub), "--url", "tls://h:7422", "--dir", str(edge))
    made = await at(server)(*words, "--collector", "collector-docker")
    assert made.code == 0, made.err

    init, found = sorted(await writes(bus), key=lambda each: each.record.action)
    assert (init.record.action, init.record.target, init.outcome) == ("edge-init", "hub hub", "done")
    assert init.record.after is not None
    assert (init.record.after["servers"], init.record.after["done_at"][-1]) == ({"hub-1": "h"}, "Z")
    assert not (hub / "unrecorded.jsonl").exists()
    record = found.record
    assert (record.action, record.via, record.target, found.outcome) == ("edge-new", "cli", "edge paris", "done")
    assert record.before is None
    assert record.after == {"directory": str(edge), "urls": ["tls://h:7422"], "collectors": ["collector-docker"]}
    seeds = {each.read_text().strip() for each in (*hub.rglob("*.nk"), *edge.rglob("*.nk"))}
    assert seeds
    assert not [seed for seed in seeds if seed in repr(await records(bus))]
