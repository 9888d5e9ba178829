import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.msg import Msg

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig, Secret
from kgents_shared.bus.provision import Create, Plan, Refuse, Unchanged, Update, apply, plan, require_streams
from kgents_shared.bus.session import Session
from kgents_shared.bus.subject_counts import subject_counts
from kgents_shared.contract.errors import BusError, ProvisionError
from kgents_shared.contract.streams import StreamsConfig, streams
from support.nats_server import NatsServer

ENTITY = "kgents.entity.test.k8s.pod.shop.cart"
PULSE = "kgents.pulse.test.k8s.pod.shop.cart"


async def provision(session: Session, **config: Any) -> Plan:
    made = await plan(session, streams(StreamsConfig(**config)))
    await apply(session, made)
    return made


async def config_of(session: Session, name: str) -> dict[str, Any]:
    config: dict[str, Any] = (await session.api(f"STREAM.INFO.{name}", None, dict[str, Any]))["config"]
    return config


async def store(session: Session, subject: str, payload: bytes = b"{}", times: int = 1) -> None:
    for _ in range(times):
        await session.request(subject, payload)


def reason(made: Plan, stream: str) -> str:
    (refusal,) = made.refusals
    assert refusal.stream == stream
    return refusal.reason


async def test_an_empty_server_gets_every_stream(bus: Bus) -> None:
    session = await bus.session()
    made = await provision(session)
    assert all(isinstance(step, Create) for step in made.steps)
    config = await config_of(session, "KGENTS_ENTITY")
    expected = {
        "subjects": ["kgents.entity.*.*.*.*.*"],
        "storage": "file",
        "compression": "s2",
        "max_msgs_per_subject": 1,
        "allow_direct": True,
        "allow_msg_ttl": True,
        "allow_rollup_hdrs": False,
        "deny_delete": True,
        "deny_purge": True,
        "duplicate_window": 60 * 10**9,
    }
    assert config | expected == config
    assert config["metadata"]["kgents.schema"] == "1"


async def test_provisioning_twice_changes_nothing(bus: Bus) -> None:
    session = await bus.session()
    await provision(session)
    again = await provision(session)
    assert all(isinstance(step, Unchanged) for step in again.steps)
    assert not again.has_changes


async def test_each_step_says_in_one_line_what_it_does(bus: Bus) -> None:
    session = await bus.session()
    made = await provision(session)
    assert str(made.steps[1]) == "create KGENTS_PULSE: kgents.pulse.*.*.*.*.*, 1 replica(s)"
    raised = await plan(session, streams(StreamsConfig(pulse_max_age_s=7_200)))
    assert str(raised.steps[0]) == "unchanged KGENTS_ENTITY"
    assert str(raised.steps[1]) == "update KGENTS_PULSE: max_age: 3600s → 7200s"


async def test_only_our_fields_change_and_an_operators_survive(bus: Bus) -> None:
    session = await bus.session()
    await provision(session)
    config = await config_of(session, "KGENTS_EVENT")
    theirs = {"max_msg_size": 65_536, "placement": {"tags": ["ssd"]}, "metadata": {**config["metadata"], "team": "x"}}
    ours = {"description": "?", "compression": "none", "allow_direct": False}
    await session.api("STREAM.UPDATE.KGENTS_EVENT", {**config, **ours, **theirs}, msgspec.Raw)

    made = await provision(session)

    (step,) = [step for step in made.steps if isinstance(step, Update)]
    assert {change.field for change in step.changes} == set(ours)
    after = await config_of(session, "KGENTS_EVENT")
    assert after["compression"] == "s2"
    assert after["max_msg_size"] == 65_536
    assert after["placement"] == {"tags": ["ssd"]}
    assert after["metadata"]["team"] == "x"


async def test_a_bare_stream_of_the_right_subjects_is_brought_up_to_date(bus: Bus) -> None:
    session = await bus.session()
    bare = {"name": "KGENTS_META", "subjects": ["kgents.meta.*.*.*"]}
    await session.api("STREAM.CREATE.KGENTS_META", {**bare, "storage": "file", "max_msgs_per_subject": 1}, msgspec.Raw)
    await provision(session)
    assert not (await plan(session, streams(StreamsConfig()))).has_changes


async def test_streams_of_an_earlier_version_learn_to_refuse_roll_ups(bus: Bus) -> None:
    session = await bus.session()
    for stream in [each for each in streams(StreamsConfig()) if each.signal != "audit"]:  # which no earlier one had
        earlier = {
            "name": stream.name,
            "subjects": [stream.subject],
            "max_msgs_per_subject": stream.max_msgs_per_subject,
            "allow_msg_ttl": True,
            "subject_delete_marker_ttl": 86_400 * 10**9,  # with which the server allows roll-ups
        }
        await session.api(f"STREAM.CREATE.{stream.name}", earlier, msgspec.Raw)
    assert (await config_of(session, "KGENTS_ENTITY"))["allow_rollup_hdrs"]
    await store(session, ENTITY)

    await provision(session)

    allowed = {stream.name for stream in streams(StreamsConfig()) if await allows_rollup(session, stream.name)}
    assert allowed == {"KGENTS_META"}
    assert (await subject_counts(session, "KGENTS_ENTITY", [">"])) == {ENTITY: 1}
    assert not (await plan(session, streams(StreamsConfig()))).has_changes


async def allows_rollup(session: Session, stream: str) -> bool:
    return bool((await config_of(session, stream))["allow_rollup_hdrs"])


async def test_a_stream_that_can_be_purged_no_more_is_refused_where_history_must_go(bus: Bus) -> None:
    session = await bus.session()
    await provision(session)
    config = await config_of(session, "KGENTS_TOPOLOGY")
    await session.api("STREAM.UPDATE.KGENTS_TOPOLOGY", {**config, "deny_purge": True}, msgspec.Raw)
    text = reason(await plan(session, streams(StreamsConfig())), "KGENTS_TOPOLOGY")
    assert "deny_purge: expected False, found True, which JetStream cannot change" in text


COLLECTOR = """
accounts { A {
    jetstream: enabled
    users: [
        { user: admin, password: p }
        { user: collector, password: p,
          permissions: { publish: ["kgents.>", "$JS.API.>"], subscribe: ["_INBOX_test.>"] } }
    ]
} }
"""
ONE_OF_EACH = {
    "KGENTS_ENTITY": ENTITY,
    "KGENTS_PULSE": PULSE,
    "KGENTS_EVENT": "kgents.event.test.k8s.pod.shop.cart",
    "KGENTS_TOPOLOGY": "kgents.topology.test.pod.shop.cart",
    "KGENTS_HEALTH": "kgents.health.test.pod.shop.cart",
    "KGENTS_ALERT": "kgents.alert.test.pod.shop.cart.KG-101",
    "KGENTS_INCIDENT": "kgents.incident.test.1",
    "KGENTS_NOTICE": "kgents.notice.test.ops.1",
    "KGENTS_SILENCE": "kgents.silence.test.1",
    "KGENTS_ACK": "kgents.ack.test.1",
    "KGENTS_AUDIT": "kgents.audit.test.silence",
}


@pytest.mark.parametrize("rollup", ["all", "sub"])
async def test_no_publisher_empties_a_stream_with_a_roll_up(tmp_path: Path, rollup: str) -> None:
    async with NatsServer(tmp_path, config=COLLECTOR) as server:
        async with _connected(server, user="admin") as session:
            await provision(session)
            for subject in ONE_OF_EACH.values():
                await store(session, f"{subject}-of-another")
        async with _connected(server, user="collector") as session:
            for stream, subject in ONE_OF_EACH.items():
                answer = await session.request(subject, b"{}", headers={"Nats-Rollup": rollup})
                assert b"rollup not permitted" in answer.data
                assert set(await subject_counts(session, stream, [">"])) == {f"{subject}-of-another"}


async def test_no_message_is_deleted_and_no_report_purged(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, config=COLLECTOR) as server, _connected(server, user="collector") as session:
        await provision(session)
        for stream in streams(StreamsConfig()):
            with pytest.raises(BusError, match="message delete not permitted"):
                await session.api(f"STREAM.MSG.DELETE.{stream.name}", {"seq": 1}, msgspec.Raw)
        for name in ("KGENTS_ENTITY", "KGENTS_PULSE", "KGENTS_EVENT"):
            with pytest.raises(BusError, match="stream purge not permitted"):
                await session.api(f"STREAM.PURGE.{name}", None, msgspec.Raw)


async def test_a_limit_is_lowered_when_nothing_is_lost(bus: Bus) -> None:
    session = await bus.session()
    await provision(session)
    await store(session, PULSE)
    await store(session, "kgents.alert.test.pod.shop.cart.cpu", times=2)
    made = await provision(session, history=2, pulse_max_age_s=1_800, pulse_max_bytes=1_000_000)
    assert len([step for step in made.steps if isinstance(step, Update)]) == 5
    assert (await config_of(session, "KGENTS_ALERT"))["max_msgs_per_subject"] == 2


async def test_lowering_the_history_below_what_a_subject_holds_is_refused(bus: Bus) -> None:
    session = await bus.session()
    await provision(session)
    await store(session, "kgents.alert.test.pod.shop.cart.cpu", times=3)
    made = await plan(session, streams(StreamsConfig(history=2)))
    text = reason(made, "KGENTS_ALERT")
    assert "expected 2, found 16" in text
    assert "3 messages of kgents.alert.test.pod.shop.cart.cpu" in text
    assert "nats stream edit KGENTS_ALERT --max-msgs-per-subject=2" in text


async def test_lowering_max_bytes_below_what_is_stored_is_refused(bus: Bus) -> None:
    session = await bus.session()
    await provision(session)
    await store(session, PULSE, b"x" * 10_000, times=3)
    made = await plan(session, streams(StreamsConfig(pulse_max_bytes=20_000)))
    assert "nats stream edit KGENTS_PULSE --max-bytes=20000" in reason(made, "KGENTS_PULSE")


async def test_lowering_max_age_below_the_oldest_message_is_refused_and_nothing_is_applied(bus: Bus) -> None:
    session = await bus.session()
    await provision(session)
    await session.api("STREAM.DELETE.KGENTS_ENTITY", None, msgspec.Raw)
    await store(session, PULSE)
    await asyncio.sleep(1.1)
    made = await plan(session, streams(StreamsConfig(pulse_max_age_s=1)))
    assert "nats stream edit KGENTS_PULSE --max-age=1s" in reason(made, "KGENTS_PULSE")
    with pytest.raises(ProvisionError, match="--max-age=1s"):
        await apply(session, made)
    with pytest.raises(BusError, match="stream not found"):
        await config_of(session, "KGENTS_ENTITY")


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"storage": "memory"}, "storage: expected file, found memory"),
        ({"retention": "workqueue"}, "retention: expected limits, found workqueue"),
        ({"subjects": ["shop.>"]}, "nats stream edit KGENTS_PULSE --subjects='kgents.pulse.*.*.*.*.*'"),
    ],
)
async def test_what_cannot_be_changed_is_refused(bus: Bus, wrong: dict[str, Any], expected: str) -> None:
    session = await bus.session()
    await provision(session)
    config = await config_of(session, "KGENTS_PULSE")
    await session.api("STREAM.DELETE.KGENTS_PULSE", None, msgspec.Raw)
    await session.api("STREAM.CREATE.KGENTS_PULSE", {**config, **wrong}, msgspec.Raw)
    made = await plan(session, streams(StreamsConfig()))
    assert expected in reason(made, "KGENTS_PULSE")


async def test_a_sealed_stream_is_refused_by_its_first_cause(bus: Bus) -> None:
    session = await bus.session()
    await provision(session)
    config = await config_of(session, "KGENTS_META")
    await session.api("STREAM.UPDATE.KGENTS_META", {**config, "sealed": True}, msgspec.Raw)
    made = await plan(session, streams(StreamsConfig()))
    assert reason(made, "KGENTS_META").startswith("sealed: expected False, found True, which JetStream cannot change")
    assert "`nats stream rm KGENTS_META`" in reason(made, "KGENTS_META")


async def test_a_foreign_stream_on_our_subjects_is_named(bus: Bus) -> None:
    session = await bus.session()
    await session.api("STREAM.CREATE.AUDIT", {"name": "AUDIT", "subjects": ["kgents.event.>"]}, msgspec.Raw)
    made = await plan(session, streams(StreamsConfig()))
    text = reason(made, "KGENTS_EVENT")
    assert (
        "expected no other stream to capture kgents.event.*.*.*.*.*, found AUDIT; try: `nats stream edit AUDIT" in text
    )
    assert [type(step) for step in made.steps].count(Refuse) == 1


async def test_more_replicas_than_servers(bus: Bus) -> None:
    session = await bus.session()
    with pytest.raises(ProvisionError, match=r"cannot create KGENTS_ENTITY.*\(10074\); set streams.replicas to 1"):
        await provision(session, replicas=3)


async def test_insufficient_storage(tmp_path: Path) -> None:
    config = f'jetstream {{ store_dir: "{tmp_path / "data"}", max_file_store: 300MB }}'
    async with _session(tmp_path, config=config) as session:
        with pytest.raises(ProvisionError, match=r"KGENTS_EVENT.*\(10047\); max_bytes is reserved up front"):
            await provision(session)
        await provision(session, pulse_max_bytes=268_435_456, event_max_bytes=10_000_000, audit_max_bytes=10_000_000)


async def test_a_server_without_jetstream(tmp_path: Path) -> None:
    async with _session(tmp_path, jetstream=False) as session:
        with pytest.raises(ProvisionError, match="expected JetStream on server test"):
            await plan(session, streams(StreamsConfig()))
        with pytest.raises(ProvisionError, match="expected JetStream on server test"):
            await require_streams(session, streams(StreamsConfig()))


ACCOUNTS = """
accounts {
    WITH { jetstream: enabled, users: [{user: with, password: p}] }
    WITHOUT { users: [{user: without, password: p}] }
}
"""


async def test_an_account_without_jetstream(tmp_path: Path) -> None:
    async with _session(tmp_path, config=ACCOUNTS, user="without") as session:
        with pytest.raises(ProvisionError, match="not enabled for account"):
            await plan(session, streams(StreamsConfig()))


async def test_an_older_server(tmp_path: Path) -> None:
    async with _session(tmp_path, jetstream=False) as session:

        async def answer(message: Msg) -> None:  # what nats-server 2.10 says: no API level
            await message.respond(b'{"memory":0,"storage":0,"streams":0,"api":{"total":0,"errors":0}}')

        await session.subscribe("$JS.API.INFO", answer)
        with pytest.raises(ProvisionError, match=r"expected nats-server 2.11 or later, found \d+"):
            await plan(session, streams(StreamsConfig()))


async def test_a_service_learns_which_streams_are_missing(bus: Bus) -> None:
    session = await bus.session()
    wanted = streams(StreamsConfig())
    await provision(session)
    await require_streams(session, wanted)
    await session.api("STREAM.DELETE.KGENTS_PULSE", None, msgspec.Raw)
    await session.api("STREAM.DELETE.KGENTS_META", None, msgspec.Raw)
    with pytest.raises(ProvisionError, match=r"KGENTS_PULSE, KGENTS_META.*run `kgents provision`"):
        await require_streams(session, wanted)


PERMISSIONS = """
accounts { A {
    jetstream: enabled
    users: [
        { user: admin, password: p }
        { user: service, password: p,
          permissions: { publish: ["$JS.API.STREAM.INFO.*"], subscribe: ["_INBOX_test.>"] } }
    ]
} }
"""


async def test_a_service_needs_no_permission_but_to_ask(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, config=PERMISSIONS) as server:
        async with _connected(server, user="admin") as session:
            await provision(session)
        async with _connected(server, user="service") as session:
            await require_streams(session, streams(StreamsConfig()))


@asynccontextmanager
async def _session(
    directory: Path, *, config: str = "", jetstream: bool = True, user: str | None = None
) -> AsyncIterator[Session]:
    async with (
        NatsServer(directory, config=config, jetstream=jetstream) as server,
        _connected(server, user=user) as session,
    ):
        yield session


@asynccontextmanager
async def _connected(server: NatsServer, *, user: str | None) -> AsyncIterator[Session]:
    config = NatsConfig(url=server.url, user=user, password=Secret("p") if user else None)
    async with Bus(config, name="test") as bus:
        yield await bus.session(timeout_s=5)


async def test_a_server_that_cannot_store_for_a_moment_is_asked_again(bus: Bus, nats: NatsServer) -> None:
    """The server removes what is in the way of a directory, but only after it has refused."""
    session = await bus.session()
    _replace_by_file(nats.directory / "data" / "jetstream" / "$G")
    await provision(session)
    assert "Stream create failed" in nats.log.read_text()
    assert not (await plan(session, streams(StreamsConfig()))).has_changes


async def test_a_server_that_cannot_store_is_named_as_that(bus: Bus, nats: NatsServer) -> None:
    session = await bus.session()
    _replace_by_file(nats.directory / "data" / "jetstream")
    with pytest.raises(ProvisionError, match=r"cannot create KGENTS_.*; see the server's log"):
        await provision(session)


def _replace_by_file(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.touch()
