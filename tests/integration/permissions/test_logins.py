"""What `kgents permissions` prints for those who run commands is enough for them, and for nothing else."""

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest
from nats.aio.msg import Msg

from kgents_cli.availability.silenced import silenced
from kgents_cli.commands.permissions import AUDITOR, BACKUP, PROVISION, READER, of_login
from kgents_shared.bus.audit import record_one
from kgents_shared.bus.client import Bus
from kgents_shared.bus.copies import plan_copies
from kgents_shared.bus.elsewhere import require_one_store_of
from kgents_shared.bus.jetstream import account_info, last_message
from kgents_shared.bus.provision import apply, plan
from kgents_shared.bus.pull import first_since
from kgents_shared.bus.snapshot import delete_stream, restore
from kgents_shared.bus.snapshot import snapshot as snapshot_of
from kgents_shared.contract import subjects
from kgents_shared.contract.audit import RESTORE, SET_UP
from kgents_shared.contract.errors import BusError, BusTimeoutError
from kgents_shared.contract.streams import NAME_BY_SIGNAL, StreamsConfig, copies, streams
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.live import snapshot
from kgents_shared.view.past import history, state_at
from kgents_shared.view.selection import select
from support.audit import make_record
from support.build import make_ref
from support.permitted import DENIED, login, permitted, server_of, unused
from support.state import make_alert, make_event, make_health, make_topology, publish
from support.streams import provision_streams
from support.uses import Uses
from support.waiting import MACHINE, eventually


async def test_streams_are_made_by_a_login_that_may_do_nothing_else(tmp_path: Path) -> None:
    permissions = of_login(PROVISION, CommonConfig(), [], users=["limited"])
    async with server_of(tmp_path, permitted(permissions)) as server, Uses(server.port) as uses:
        async with Bus(login(uses.url, "limited"), name="cli") as bus:
            await provision_streams(bus)
            session = await bus.session()
            await require_one_store_of(session, await plan(session, streams(StreamsConfig())))
            await provision_streams(bus, StreamsConfig(history=32, pulse_max_age_s=7_200))
            kept = copies(StreamsConfig(archive_copy_max_bytes=1024**2))
            await apply(session, await plan_copies(session, kept))
            for action in SET_UP:
                await record_one(bus, make_record(action=action))
        assert DENIED not in server.log.read_text()
        assert not [each for each in unused(permissions, uses) if "STREAM.UPDATE" not in each]


async def test_streams_are_copied_and_restored_by_a_login_that_may_do_nothing_else(tmp_path: Path) -> None:
    permissions = of_login(BACKUP, CommonConfig(), [], users=["limited"])
    async with server_of(tmp_path, permitted(permissions)) as server, Uses(server.port) as uses:
        async with (
            Bus(login(server.url, "admin"), name="admin") as admin,
            Bus(login(uses.url, "limited"), name="cli") as bus,
        ):
            await provision_streams(admin)
            await publish(admin, make_topology(), make_health(), make_alert(), make_event())
            session = await admin.session()
            for _ in range(8):  # more than one part
                await session.request(make_event().ref.subject("event", source="k8s"), os.urandom(100_000))
            session = await bus.session()
            for signal, stream in NAME_BY_SIGNAL.items():
                if signal != "meta":
                    async with snapshot_of(session, stream) as copy:
                        chunks = [each async for each in copy.chunks()]
                    await delete_stream(session if signal != "audit" else await admin.session(), stream)
                    restored = await restore(session, stream, copy.copied, chunks)
                    assert restored.state.messages == copy.copied.state["messages"]
            await record_one(bus, make_record(action=RESTORE))
        assert DENIED not in server.log.read_text()
        assert not unused(permissions, uses)


@pytest.mark.parametrize(
    ("login_", "clusters"), [(READER, ["test"]), (AUDITOR, ["test"]), (AUDITOR, [])],
    ids=["of_one_cluster", "auditor_of_one_cluster", "auditor_of_all"],
)  # fmt: skip
async def test_a_reader_needs_what_the_command_prints(tmp_path: Path, login_: str, clusters: list[str]) -> None:
    """The trail of who wrote what is an auditor's; of it a reader knows which alerts were silenced when."""
    permissions = of_login(login_, CommonConfig(), clusters, users=["limited"])
    async with server_of(tmp_path, permitted(permissions)) as server, Uses(server.port) as uses:
        async with Bus(login(server.url, "admin"), name="admin") as admin:
            await provision_streams(admin)
            await publish(admin, make_topology(), make_health(), make_alert(), make_event())
        async with Bus(login(uses.url, "limited"), name="cli") as bus:
            assert len(await snapshot(bus, select(cluster=clusters or None))) == 1
            assert (await history(bus, make_ref())).versions
            session = await bus.session()
            await account_info(session)
            named = {"cluster": "test"} if clusters else {}
            for signal, stream in NAME_BY_SIGNAL.items():
                if (signal, login_) != ("audit", READER):
                    each = subjects.pattern(signal, **named)
                    await first_since(session, stream, each, datetime.now(UTC) - timedelta(hours=1))
            assert await silenced(bus, "test" if clusters else None) == []
            if not clusters:
                assert len((await state_at(bus, select(kind="pod,node"), datetime.now(UTC))).fold) == 1
        assert DENIED not in server.log.read_text()


async def test_a_reader_of_one_cluster_reads_no_other(tmp_path: Path) -> None:
    permissions = of_login(READER, CommonConfig(), ["test"], users=["limited"])
    async with server_of(tmp_path, permitted(permissions)) as server:
        async with Bus(login(server.url, "admin"), name="admin") as admin:
            await provision_streams(admin)
            await publish(admin, make_topology())
        async with Bus(login(server.url, "limited"), name="cli") as bus:
            for wanted in ({"cluster": "other"}, {}):
                with pytest.raises(BusError):
                    await snapshot(bus, select(**wanted), timeout_s=1)
            session, trail = await bus.session(), subjects.pattern("audit", cluster="test")
            with pytest.raises(BusError):
                await first_since(session, "KGENTS_AUDIT", trail, datetime.now(UTC))
        await eventually(lambda: DENIED in server.log.read_text())


async def test_of_two_people_with_the_same_rights_neither_hears_what_the_other_is_answered(tmp_path: Path) -> None:
    people = [permitted(of_login(READER, CommonConfig(), [], users=[name]), name) for name in ("alice", "bob")]
    async with server_of(tmp_path, *people) as server:
        async with Bus(login(server.url, "admin"), name="admin") as admin:
            await provision_streams(admin)
            await publish(admin, make_topology())
        async with (
            Bus(login(server.url, "bob"), name="cli") as bob,
            Bus(login(server.url, "alice"), name="cli") as alice,
        ):
            heard: list[str] = []

            async def hear(message: Msg) -> None:
                heard.append(message.subject)

            session = await bob.session()
            for subject in ("_INBOX_cli.>", "_INBOX_cli.alice.>", "_INBOX_kgents-client.alice.>", "_INBOX_cli.*.>"):
                await session.subscribe(subject, hear)
                await eventually(partial(is_refused, bob, subject))
            assert len(await snapshot(alice, select())) == 1
            assert len(await snapshot(bob, select())) == 1
            assert heard == []


def is_refused(bus: Bus, subject: str) -> bool:
    return any(f'"{subject.lower()}"' in each.lower() for each in bus.denials)


OTHERS = ("kgents.entity.other.nats.pod.a.b", "kgents.entity.test.k8s.pod.a.b", "kgents.topology.test.pod.a.b")
OWN = "kgents.entity.test.nats.pod.a.b"


async def test_a_collector_harms_no_other(tmp_path: Path) -> None:
    permissions = of_login("collector-nats", CommonConfig(), ["test"])
    async with server_of(tmp_path, permitted(permissions)) as server:
        async with Bus(login(server.url, "admin"), name="admin") as admin:
            await provision_streams(admin)
            for subject in (*OTHERS, OWN):
                await (await admin.session()).request(subject, b"{}")
        quick = msgspec.structs.replace(login(server.url, "limited"), request_timeout_s=MACHINE.limit_s(0.5))
        async with Bus(quick, name="collector-nats", cluster="test") as bus:
            session = await bus.session()
            rolled_up = await session.request(OWN, b"{}", headers={"Nats-Rollup": "all"})
            assert b"rollup not permitted" in rolled_up.data
            refused = [
                *(session.request(subject, b"{}") for subject in OTHERS),
                *(last_message(session, "KGENTS_ENTITY", subject) for subject in OTHERS[:2]),
                *(session.api(f"STREAM.{verb}.KGENTS_TOPOLOGY", {}, msgspec.Raw) for verb in HARMFUL),
            ]
            for each in refused:
                with pytest.raises(BusTimeoutError, match=r"(?i)permissions violation"):
                    await each
        await eventually(lambda: server.log.read_text().count(DENIED) == len(refused))


HARMFUL = ("PURGE", "MSG.DELETE", "DELETE", "UPDATE", "MSG.GET")
