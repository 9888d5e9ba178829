"""What `kgents permissions` prints is enough for each service, and no line of it is too much.

Every service runs as a process of its own with exactly these permissions, until it has needed each of them.
"""

import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

import pytest
from msgspec import structs

from kgents_cli.commands.permissions import of_login
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import last_message
from kgents_shared.bus.outbox import Message, Outbox
from kgents_shared.bus.permissions import Permissions
from kgents_shared.bus.publish import MESSAGE_ID
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.runtime.config import CommonConfig
from support.build import make_entity, make_removal, subject_of
from support.permitted import DENIED, login, permitted, server_of, unused
from support.permitted_worlds import CLUSTER, PLACES, WORLDS, drop_all_but_the_last, store
from support.process import OwnProcess, spawn
from support.state import make_event
from support.streams import provision_streams
from support.truth import heartbeat
from support.uses import Uses
from support.waiting import eventually

SERVE = """
import sys
from kgents_cli.app import main
from kgents_shared.bus import losses, state_audit, tombstones
losses.INTERVAL_S = state_audit.AUDIT_INTERVAL_S = 1.0
tombstones.HISTORY_OF_REMOVED_S = 0
main()
"""
"""A service that audits each second, and need not wait for 3.5 days until it purges the history of what is gone."""


class Running(OwnProcess):
    """A service as `kgents run` starts it."""

    def __init__(self, service: str, url: str, directory: Path, *, user: str, cluster: str, **settings: object) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.log = directory / "service.log"
        given = {
            "nats__url": url,
            "nats__user": user,
            "nats__password": f"{user}-password",
            "cluster": cluster,
            "instance": user,
            "data_dir": directory,
            **settings,
        }
        variables = {f"KGENTS__{name.upper()}": str(value) for name, value in given.items()}
        variables["KGENTS_CONFIG"] = variables.pop("KGENTS__CONFIG", "")
        with self.log.open("wb") as log:
            command = [sys.executable, "-c", SERVE, "run", service]
            self._process = spawn(command, env={**os.environ, **variables}, stdout=log, stderr=log)

    @property
    def denials(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if "nats_permission_denied" in line]


async def is_well(admin: Bus, name: str) -> bool:
    beat = await heartbeat(admin, name, "limited")
    return beat is not None and (beat.state, beat.reason) == ("in_sync", "")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("service", WORLDS)
async def test_a_service_needs_exactly_what_the_command_prints(service: str, tmp_path: Path) -> None:
    permissions = of_login(service, CommonConfig(), [CLUSTER])
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(server_of(tmp_path / "nats", permitted(permissions)))
        admin = await stack.enter_async_context(Bus(login(server.url, "admin"), name="admin"))
        await provision_streams(admin)
        uses = await stack.enter_async_context(Uses(server.port))
        settings, happen = await stack.enter_async_context(WORLDS[service](tmp_path, server, admin))
        name = f"{service}-{PLACES[service]}" if service in PLACES else service
        if service.startswith("collector-"):
            await leave_unconfirmed(admin, tmp_path / "one", name)
        process = Running(service, uses.url, tmp_path / "one", user="limited", cluster=CLUSTER, **settings)
        stack.callback(process.kill)
        await eventually(lambda: is_in_sync(admin, name), within_s=60)
        await happen()

        with suppress(AssertionError):
            await eventually(lambda: unused(permissions, uses) <= only_at_the_end(permissions), within_s=20)
        # Again: a limit that drops messages is a failure. What a server lost for a moment has its time to come back.
        with suppress(AssertionError):
            await eventually(lambda: is_well(admin, name), within_s=60)
        beat = await heartbeat(admin, name, "limited")
        await process.stop()

    assert unused(permissions, uses) == set()
    assert process.denials == []
    assert DENIED not in server.log.read_text()
    assert beat is not None
    assert (beat.state, beat.reason) == ("in_sync", "")


async def leave_unconfirmed(bus: Bus, directory: Path, service: str) -> None:
    """What a process leaves on disk that ended before the last of its samples and events got an ack."""
    source = service.removeprefix("collector-")
    event = structs.replace(make_event(), source=source)
    messages = [
        Message(number, event.ref.subject(signal, source=source), {MESSAGE_ID: f"last:{number}"}, encode(event))
        for number, signal in enumerate(("pulse", "event"), start=1)
    ]
    for each in messages:
        await (await bus.session()).request(each.subject, each.payload, headers=each.headers)
    with Outbox(directory / f"{service}.{CLUSTER}.outbox") as outbox:
        outbox.append(messages, {"KGENTS_PULSE": 0, "KGENTS_EVENT": 0})


async def is_in_sync(bus: Bus, service: str) -> bool:
    beat = await heartbeat(bus, service, "limited")
    return beat is not None and beat.state == "in_sync"


def only_at_the_end(permissions: Permissions) -> set[str]:
    """A consumer ends when its reader does."""
    return {each.subject for each in permissions.publish if ".CONSUMER.DELETE." in each.subject}


@pytest.mark.timeout(300)
async def test_without_any_one_line_something_is_refused(tmp_path: Path) -> None:
    """What the test above concludes from the subjects that were used, tried out for one service."""
    service = "topology-builder"
    removed = {}
    users = []
    for number, _ in enumerate(lines(of_login(service, CommonConfig(), ["c"]))):
        permissions = of_login(service, CommonConfig(), [f"c{number}"])
        removed[f"c{number}"] = [*lines(permissions)][number]
        users.append(permitted(permissions.without(removed[f"c{number}"]), f"c{number}"))
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(server_of(tmp_path / "nats", *users))
        admin = await stack.enter_async_context(Bus(login(server.url, "admin"), name="admin"))
        await provision_streams(admin)
        for cluster, line in removed.items():
            names = ("cart", "lost", "kept")
            entities = [make_entity(ref=Ref(cluster, "pod", name, "shop")) for name in names]
            for each in entities:
                await store(admin, subject_of(each), each)
            settings = {"topology_builder__clusters": f'["{cluster}"]'}
            one = Running(service, server.url, tmp_path / cluster, user=cluster, cluster=cluster, **settings)
            stack.callback(one.kill)
            for each in entities:
                topology_subject = each.ref.subject("topology")
                await is_denied_or(one, partial(last_message_is, admin, "KGENTS_TOPOLOGY", topology_subject))
            await store(admin, subject_of(entities[0]), make_removal(entities[0]))
            await store(admin, subject_of(entities[-1]), entities[-1])
            await drop_all_but_the_last(admin, "KGENTS_ENTITY")
            with suppress(AssertionError):  # what it needs only at its end
                await is_denied_or(one, never, within_s=5)
            await one.stop()
            assert one.denials, f"{line} is not needed"


async def is_denied_or(one: Running, claim: Callable[[], Awaitable[bool]], within_s: float = 60) -> None:
    async def is_so() -> bool:
        return bool(one.denials) or await claim()

    await eventually(is_so, within_s)


async def last_message_is(bus: Bus, stream: str, subject: str) -> bool:
    return await last_message(await bus.session(), stream, subject) is not None


async def never() -> bool:
    return False


def lines(permissions: Permissions) -> Iterable[str]:
    return (each.subject for each in (*permissions.publish, *permissions.subscribe))
