"""A login that may not do all that its service needs makes the service degraded, whatever it is that is refused."""

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from kgents_cli.commands.permissions import of_login
from kgents_shared.bus import session as bus_session
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.permissions import Permissions
from kgents_shared.contract.attestation import BUILDER, Attestation
from kgents_shared.contract.meta import Share
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.subjects import FIELDS, build
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.runtime.heartbeat import Status
from kgents_shared.view.writers import SILENT_AFTER_NS, Writers
from support.build import NOW, make_ref
from support.collecting import collecting
from support.nats_server import NatsServer
from support.permitted import login, permitted, server_of
from support.service_process import ServiceProcess
from support.streams import provision_streams
from support.truth import heartbeat
from support.waiting import eventually

REFUSED = {
    "collector-nats": "kgents.meta.test.collector-nats.lease",
    "topology-builder": "$JS.API.CONSUMER.DELETE.KGENTS_TOPOLOGY.*",
}
"""A subscription and a request. Messages are in the tests below, and rows and samples are judged by what they hold."""


def all_but_one(service: str) -> Permissions:
    permissions = of_login(service, CommonConfig(), ["test"])
    assert permissions.without(REFUSED[service]) != permissions
    return permissions.without(REFUSED[service])


@pytest.mark.timeout(180)
async def test_a_service_is_degraded_and_names_what_it_may_not_do(tmp_path: Path) -> None:
    users = [permitted(all_but_one(service), service) for service in REFUSED]
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(server_of(tmp_path / "nats", *users))
        admin = await stack.enter_async_context(Bus(login(server.url, "admin"), name="admin"))
        await provision_streams(admin)
        for service in REFUSED:
            process = ServiceProcess(
                service,
                server.url,
                tmp_path,
                nats__user=service,
                nats__password=f"{service}-password",
                collector_nats__monitor_urls=f'["{server.monitor_url}"]',
                collector_nats__poll_interval_s="1",
            )
            await stack.enter_async_context(process)
        for service, subject in REFUSED.items():
            await eventually(partial(_is_degraded, admin, service, subject), within_s=60)
        collector, builder = [await heartbeat(admin, service) for service in REFUSED]

    assert builder is not None
    assert [str(each) for each in builder.unread] == ["source topology-builder"]  # what it publishes is complete
    assert collector is not None
    assert [str(each) for each in collector.unattested] == ["source nats"]  # what it reports of entities is complete


DELETE = 'Permissions Violation for Publish to "$JS.API.CONSUMER.DELETE.KGENTS_TOPOLOGY.x"'
LETTER = 'Permissions Violation for Publish to "kgents.meta.test.topology-builder.dead-letter-entity-7"'
INFO = 'Permissions Violation for Publish to "$JS.API.STREAM.INFO.KGENTS_ENTITY"'


@pytest.mark.parametrize(
    ("denials", "covered"),
    [
        ([], []),
        ([DELETE], ["source topology-builder"]),
        ([LETTER], ["source topology-builder"]),
        ([INFO], ["everything"]),
        ([DELETE, LETTER, INFO], ["everything"]),
    ],
)
async def test_a_denial_covers_what_depends_on_the_permission(
    denials: list[str], covered: list[str], tmp_path: Path
) -> None:
    async with NatsServer(tmp_path / "nats") as server, Bus(NatsConfig(url=server.url), name="test") as bus:
        await provision_streams(bus)
        async with collecting(bus, tmp_path) as one:
            log, letters = one.context.log, one.context.dead_letters
            share = Share(home="test")
            status = Status("topology-builder", "b", "1", NOW, source="", share=share, log=log, dead_letters=letters)
            status.set("in_sync")
            status.denials = lambda: denials
            beat = status.heartbeat(0, 0.0)
    assert [str(each) for each in beat.unread] == covered
    assert beat.state == ("degraded" if denials else "in_sync")
    writers = Writers()
    writers.take("kgents.meta.test.topology-builder.b", beat, 1)
    silent = Attestation(silent=writers.silent(["test"], SILENT_AFTER_NS))
    assert (silent.silence(make_ref(), BUILDER) is not None) == (covered == ["everything"])


async def _is_degraded(bus: Bus, service: str, subject: str) -> bool:
    beat = await heartbeat(bus, service)
    if beat is None or beat.state != "degraded":
        return False
    begin = subject.removesuffix("*.*.*").removesuffix("*").lower()
    return "permissions violation" in beat.reason.lower() and begin in beat.reason.lower()


MAY_ONLY_ASK = '{ user: limited, password: "limited-password", permissions: { publish: { deny: "kgents.>" } } }'
MAY_ALL = '{ user: limited, password: "limited-password" }'


@pytest.mark.parametrize("signal", NAME_BY_SIGNAL)
async def test_a_refusal_of_any_signal_is_a_denial_until_it_is_long_ago(
    signal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = build(signal, **dict.fromkeys(FIELDS[signal], "x"))
    async with server_of(tmp_path, MAY_ONLY_ASK) as server, Bus(login(server.url, "limited"), name="limited") as bus:
        session = await bus.session()
        assert bus.denials == []
        await session.publish(subject, b"{}")
        await eventually(lambda: subject in " ".join(bus.denials))
        monkeypatch.setattr(bus_session, "DENIED_S", 0.0)
        await eventually(lambda: bus.denials == [])


async def test_a_refused_subscription_is_a_denial_until_it_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_session, "DENIED_S", 0.0)
    may_not = '{ user: limited, password: "limited-password", permissions: { subscribe: { deny: "kgents.>" } } }'
    async with server_of(tmp_path, may_not) as server, Bus(login(server.url, "limited"), name="limited") as bus:
        session = await bus.session()
        await session.subscribe("kgents.meta.x.x.x", _ignore)
        await eventually(lambda: "kgents.meta.x.x.x" in " ".join(bus.denials))
        await session.subscribe("kgents.meta.x.x.x", _ignore)
        assert bus.denials == []
        await eventually(lambda: "kgents.meta.x.x.x" in " ".join(bus.denials))


async def _ignore(_: Msg) -> None:
    pass
