"""Logins that may not do all that is asked of them: the refused subject is named, and no call hangs."""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from kgents_shared.bus import publish
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig, Secret
from kgents_shared.bus.consume import follow
from kgents_shared.bus.publish import Outcome, Publisher, Stored
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, encode
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.errors import BusTimeoutError
from support.build import make_entity, subject_of
from support.nats_login import reload
from support.nats_server import NatsServer
from support.running import running
from support.streams import provision_streams
from support.waiting import MACHINE, eventually, stays, within

FILTERS = [subjects.pattern("entity", cluster="test", source="k8s")]
ALLOWED, DENIED = make_entity("allowed"), make_entity("denied")


def server_config(permissions: str) -> str:
    """`admin` may do anything, `limited` what these permissions say."""
    return (
        'authorization { users: [ { user: admin, password: "admin-password" }, '
        f'{{ user: limited, password: "limited-password", permissions: {{ {permissions} }} }} ] }}'
    )


def login(server: NatsServer, user: str, *, request_timeout_s: float = 1.0) -> NatsConfig:
    timeout_s = MACHINE.limit_s(request_timeout_s)
    return NatsConfig(url=server.url, user=user, password=Secret(f"{user}-password"), request_timeout_s=timeout_s)


@asynccontextmanager
async def serve(directory: Path, permissions: str) -> AsyncIterator[NatsServer]:
    async with NatsServer(directory, config=server_config(permissions)) as server:
        async with Bus(login(server, "admin", request_timeout_s=5), name="admin") as admin:
            await provision_streams(admin)
        yield server


@pytest.fixture
def quick_acks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "ACK_TIMEOUT_S", MACHINE.limit_s(1.0))


@pytest.fixture
async def writing(tmp_path: Path, quick_acks: None) -> AsyncIterator[Bus]:
    """A bus whose login may write everything but one subject."""
    async with (
        serve(tmp_path, f'publish: {{ deny: "{subject_of(DENIED)}" }}') as server,
        Bus(login(server, "limited"), name="limited") as bus,
    ):
        yield bus


async def test_a_publish_that_is_not_permitted_is_settled_and_named(writing: Bus) -> None:
    publisher = Publisher(writing)
    outcomes: list[Outcome] = []
    async with running(publisher.run()):
        await publisher.send(subject_of(DENIED), encode(DENIED), {}, outcomes.append)
        await eventually(lambda: bool(outcomes), within_s=5)

    assert not isinstance(outcomes[0], Stored)
    assert subject_of(DENIED) in (await writing.session()).refusal


async def test_a_single_publish_that_is_not_permitted_raises_and_names_the_subject_and_the_reason(
    writing: Bus,
) -> None:
    publisher = Publisher(writing)
    async with running(publisher.run()):
        with pytest.raises(BusTimeoutError, match=subject_of(DENIED)) as caught:
            await publisher.send_one(subject_of(DENIED), encode(DENIED), {})

    assert "permissions violation" in str(caught.value).lower()


async def test_a_refused_subject_does_not_hold_up_others(writing: Bus) -> None:
    publisher = Publisher(writing)
    refused: list[Outcome] = []
    async with running(publisher.run()):
        await publisher.send(subject_of(DENIED), encode(DENIED), {}, refused.append)
        async with within(5):
            await publisher.send_one(subject_of(ALLOWED), encode(ALLOWED), {})
        await eventually(lambda: bool(refused), within_s=5)

    assert not isinstance(refused[0], Stored)


async def test_a_table_names_the_row_that_it_may_not_write_and_writes_the_others(writing: Bus) -> None:
    publisher = Publisher(writing)
    table: StateTable[Entity] = StateTable(writing, ENTITY, "KGENTS_ENTITY", FILTERS, publisher=publisher)
    async with running(publisher.run()):
        await table.load()
        async with running(table.run()):
            table.put(subject_of(DENIED), DENIED)
            table.put(subject_of(ALLOWED), ALLOWED)
            await eventually(lambda: subject_of(ALLOWED) in table.rows, within_s=10)
            await eventually(lambda: subject_of(DENIED) in table.failure, within_s=10)

            assert "permissions violation" in table.failure.lower()
            assert table.backlog == 1


async def test_a_row_that_may_not_be_written_stays_a_failure(writing: Bus) -> None:
    publisher = Publisher(writing)
    table: StateTable[Entity] = StateTable(writing, ENTITY, "KGENTS_ENTITY", FILTERS, publisher=publisher)
    async with running(publisher.run()):
        await table.load()
        async with running(table.run()):
            table.put(subject_of(DENIED), DENIED)
            await eventually(lambda: subject_of(DENIED) in table.failure, within_s=10)
            await stays(lambda: subject_of(DENIED) in table.failure, for_s=3)


async def test_a_row_that_was_refused_is_written_when_it_is_permitted(tmp_path: Path, quick_acks: None) -> None:
    async with (
        serve(tmp_path, f'publish: {{ deny: "{subject_of(DENIED)}" }}') as server,
        Bus(login(server, "limited"), name="limited") as bus,
    ):
        publisher = Publisher(bus)
        table: StateTable[Entity] = StateTable(bus, ENTITY, "KGENTS_ENTITY", FILTERS, publisher=publisher)
        async with running(publisher.run()):
            await table.load()
            async with running(table.run()):
                table.put(subject_of(DENIED), DENIED)
                await eventually(lambda: subject_of(DENIED) in table.failure)
                await reload(server, server_config('publish: ">"'))
                async with within(15):
                    await table.flush()

                assert subject_of(DENIED) in table.rows
                assert table.failure == ""


NO_CONSUMERS = 'publish: { deny: "$JS.API.CONSUMER.CREATE.>" }'


async def test_following_without_permission_to_make_a_consumer_says_what_is_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with (
        serve(tmp_path, NO_CONSUMERS) as server,
        Bus(login(server, "limited"), name="limited") as bus,
        running(first_batch(bus)),
    ):
        await eventually(lambda: len(reports(caplog)) >= 2, within_s=10)  # it reports, and tries again

    for report in reports(caplog):
        assert "permissions violation" in report.lower()
        assert "$js.api.consumer.create.kgents_entity" in report.lower()


async def test_following_begins_when_it_is_permitted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        serve(tmp_path, NO_CONSUMERS) as server,
        Bus(login(server, "limited"), name="limited") as bus,
        running(first_batch(bus)) as (following,),
    ):
        await eventually(lambda: len(reports(caplog)) >= 1)
        assert not following.done()
        await reload(server, server_config('publish: ">"'))
        async with within(15):
            assert await following


async def test_a_login_that_may_not_read_its_replies_is_reported(tmp_path: Path) -> None:
    async with (
        serve(tmp_path, 'subscribe: { allow: "_INBOX_other.>" }') as server,
        Bus(login(server, "limited"), name="limited") as bus,
    ):
        session = await bus.session(timeout_s=5)
        with pytest.raises(BusTimeoutError, match=r"(?i)permissions violation for subscription.*_INBOX_limited"):
            await session.request("$SYS.REQ.USER.INFO")


async def test_an_old_refusal_is_not_blamed_for_a_new_silence(writing: Bus) -> None:
    session = await writing.session()
    await session.publish(subject_of(DENIED), b"{}")
    await eventually(lambda: bool(session.refusal))
    await session.subscribe("silent.service", ignore)
    with pytest.raises(BusTimeoutError, match=r"silent\.service") as caught:
        await session.request("silent.service")

    assert subject_of(DENIED) not in str(caught.value)


async def test_a_refused_subject_is_not_blamed_for_one_that_it_begins_with(tmp_path: Path) -> None:
    async with (
        serve(tmp_path, 'publish: { deny: "silent.service.more" }') as server,
        Bus(login(server, "limited"), name="limited") as bus,
    ):
        session = await bus.session(timeout_s=5)
        await session.publish("silent.service.more", b"{}")
        await eventually(lambda: bool(session.refusal))
        await session.subscribe("silent.service", ignore)
        with pytest.raises(BusTimeoutError) as caught:
            await session.request("silent.service")

    assert "permissions violation" not in str(caught.value).lower()


async def ignore(_: object) -> None:
    """Answers nothing."""


async def first_batch(bus: Bus) -> bool:
    """Whether the first batch of an empty stream is the mark that it is complete."""
    async with aclosing(follow(bus, "KGENTS_ENTITY", FILTERS)) as batches:
        async for batch in batches:
            return batch.caught_up
    return False


def reports(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What `follow` logged of why it cannot read."""
    return [str(vars(each)["error"]) for each in caplog.records if each.getMessage() == "stream_read_failed"]
