"""The whole service on a real nats-server: alerts in, requests out."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from kgents_alert_notifier import app
from kgents_alert_notifier.app import SERVICE
from kgents_alert_notifier.config import Config, FloodConfig
from kgents_alert_notifier.delivery import dispatch
from kgents_alert_notifier.grouping import absence
from kgents_alert_notifier.grouping.grouping_config import GroupingConfig
from kgents_alert_notifier.receiver_config import DeadmanReceiver, ReceiverConfig, WebhookReceiver
from kgents_alert_notifier.routing.route import EscalationConfig, RouteConfig
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import LateSecret
from kgents_shared.bus.snapshot import delete_stream
from kgents_shared.contract import subjects
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.attestation import SCORER
from kgents_shared.contract.codec import encode
from kgents_shared.contract.decision import Author, acknowledged
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.meta import ATTENDANCE, Attendance, Heartbeat
from kgents_shared.runtime.service import Context
from support.build import NOW
from support.http_stand_in import Fault, Got, Reply, StandIn
from support.in_process import published, run_in_process
from support.nats_server import NatsServer
from support.state import make_alert, make_topology, publish, subject_of
from support.streams import provision_streams
from support.waiting import MACHINE, eventually, stays


def ok(_: Got) -> Reply:
    return Reply(204)


def config(*, to: dict[str, LateSecret], routed: list[str] | None = None, **options: Any) -> Config:
    receivers = {name: ReceiverConfig(webhook=WebhookReceiver(url=url)) for name, url in to.items()}
    route = RouteConfig(to=routed or list(to), wait_s=0.0)
    grouping = GroupingConfig(calm_s=0.5)
    deadmen = {name: ReceiverConfig(deadman=each) for name, each in options.pop("deadmen", {}).items()}
    return Config(receivers={**receivers, **deadmen}, routes=[route], grouping=grouping, **options)


def url_of(server: StandIn, path: str = "/canary") -> LateSecret:
    return LateSecret(f"{server.url}{path}")


async def fire(bus: Bus, *names: str, state: str = "firing") -> None:
    session = await bus.session()
    for name in names:
        alert: Alert = make_alert(name, state=state, started_at=NOW)
        await session.publish(subject_of(alert), encode(alert))


@asynccontextmanager
async def at_work(bus: Bus, directory: Path, settings: Config) -> AsyncIterator[Context[Any]]:
    async with run_in_process(SERVICE, settings, bus, directory) as context:
        await eventually(lambda: context.status.state == "in_sync")
        yield context


def titles(server: StandIn) -> list[str]:
    return [f"{each['status']} {each['incident']['title']}" for each in map(json.loads, bodies(server))]


def bodies(server: StandIn) -> list[bytes]:
    return [each.body for each in server.processed]


def settled(context: Context[Any], count: int, state: str) -> bool:
    notices = published(context, "notice")
    return len(notices) == count and all(each.delivered_state == state and not each.sending for each in notices)


async def test_alerts_reach_people_once_and_a_restart_sends_nothing(bus: Bus, tmp_path: Path) -> None:
    async with StandIn(ok) as server:
        settings = config(to={"tool": url_of(server)})
        async with at_work(bus, tmp_path, settings) as context:
            await fire(bus, "a", "b")
            await eventually(lambda: settled(context, 2, "open"))
        async with at_work(bus, tmp_path, settings) as context:
            await eventually(lambda: context.status.state == "in_sync")
            await stays(lambda: len(server.got) == 2, 1.5)
            await fire(bus, "a", "b", state="resolved")
            await eventually(lambda: settled(context, 2, "resolved"))
            assert len(server.got) == 4


async def test_without_being_enabled_no_one_is_notified(bus: Bus, tmp_path: Path) -> None:
    async with (
        StandIn(ok) as server,
        at_work(bus, tmp_path, config(to={"tool": url_of(server)}, enabled=False)) as context,
    ):
        await fire(bus, "a")
        await eventually(lambda: published(context, "incident"))
        await stays(lambda: not server.got, 1.5)


async def test_who_knows_of_the_opening_gets_the_end_though_routes_no_longer_name_it(bus: Bus, tmp_path: Path) -> None:
    async with StandIn(ok) as first, StandIn(ok) as second:
        to = {"first": url_of(first), "second": url_of(second)}
        async with at_work(bus, tmp_path, config(to=to, routed=["first"])) as context:
            await fire(bus, "a")
            await eventually(lambda: settled(context, 1, "open"))
        both = config(to=to)
        rerouted = Config(
            receivers=both.receivers,
            routes=[
                RouteConfig(match={"name": "other"}, to=["first"], wait_s=0.0),
                RouteConfig(to=["second"], wait_s=0.0),
            ],
            grouping=both.grouping,
        )
        async with at_work(bus, tmp_path, rerouted) as context:
            await eventually(lambda: len(second.got) == 1)  # a receiver that is new to it hears of it once
            await fire(bus, "a", state="resolved")
            await eventually(lambda: settled(context, 2, "resolved"))
        assert [each.partition(" ")[0] for each in titles(first)] == ["critical", "resolved"]


async def acknowledge(bus: Bus, incident: Incident) -> None:
    word = acknowledged(incident, Author("ada", "cli"), NOW)
    await (await bus.session()).request(word.subject, encode(word))


async def test_whom_an_escalation_named_hears_that_someone_takes_care_and_no_one_else_does(
    bus: Bus, tmp_path: Path
) -> None:
    async with StandIn(ok) as first, StandIn(ok) as second:
        to = {"first": url_of(first), "second": url_of(second)}
        escalated = [EscalationConfig(after_s=0.001, to=["second"])]
        settings = structs.replace(config(to=to), routes=[RouteConfig(to=["first"], wait_s=0.0, escalate=escalated)])
        retry_s = math.ceil(MACHINE.limit_s(2))  # longer than it takes to acknowledge
        second.faults = [Fault("reply", Reply(429, headers={"Retry-After": f"{retry_s}"}), is_processed=False)]
        async with at_work(bus, tmp_path, settings) as context:
            await fire(bus, "a")
            await eventually(lambda: second.got and len(first.processed) == 1)
            await acknowledge(bus, published(context, "incident")[0])  # before the second could be sent the opening
            await eventually(lambda: len(first.processed) == 2)
            await stays(lambda: len(second.got) == 1, retry_s + 0.5)
            await fire(bus, "b")
            await eventually(lambda: len(second.processed) == 1)
            [taken] = [each for each in published(context, "incident") if each.state == "open"]
            await acknowledge(bus, taken)
            await eventually(lambda: len(second.processed) == 2)
    assert [each.partition(" ")[0] for each in titles(second)] == ["critical", "acknowledged"]


async def test_that_nothing_is_judged_is_an_incident(bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """health-scorer stops: no alert could begin, and people would hear of nothing."""
    monkeypatch.setattr(absence, "ABSENT_S", MACHINE.limit_s(2.0))
    monkeypatch.setattr(app, "WRITERS_S", 0.3)
    subject = subjects.build("meta", cluster="test", service=ATTENDANCE, instance=SCORER)
    attendance = encode(Heartbeat("t", ATTENDANCE, SCORER, "0", NOW, "stopped", attendance=Attendance(NOW)))
    session = await bus.session()
    async with StandIn(ok) as server:
        await publish(bus, make_topology())
        await session.request(subject, attendance)
        async with at_work(bus, tmp_path, config(to={"tool": url_of(server)})):
            await eventually(lambda: len(server.processed) == 1)
            await session.request(subject, attendance)
            await eventually(lambda: len(server.processed) == 2)
    opened, over = titles(server)
    assert opened.startswith("critical health-scorer has not kept test up to date since ")
    assert over == opened.replace("critical", "resolved")


async def test_a_receiver_that_refuses_is_reported_to_the_others_and_so_is_its_end(bus: Bus, tmp_path: Path) -> None:
    file = tmp_path / "url"
    async with StandIn(ok) as broken, StandIn(ok) as other:
        file.write_text(f"{broken.url}/old-canary")
        broken.faults = [Fault("reply", Reply(404), is_processed=False)]
        async with at_work(bus, tmp_path, config(to={"broken": LateSecret(file), "other": url_of(other)})):
            await fire(bus, "a")
            await eventually(lambda: "critical receiver broken cannot be notified" in titles(other))
            file.write_text(f"{broken.url}/new-canary")
            await eventually(lambda: "resolved receiver broken is notified again" in titles(other))
            assert len(broken.processed) == 1
            broken.faults = [Fault("reply", Reply(404), is_processed=False)]
            await fire(bus, "a", state="resolved")  # it fails again, and with the same incident
            await eventually(lambda: titles(other).count("critical receiver broken cannot be notified") == 2)
        assert "canary" not in str(titles(other))


async def test_a_secret_that_is_not_there_yet_stops_its_receiver_alone(bus: Bus, tmp_path: Path) -> None:
    file = tmp_path / "url"
    expected = "alert-notifier.receivers.late.webhook.url_file: expected a readable file with a secret"
    async with (
        StandIn(ok) as late,
        StandIn(ok) as other,
        at_work(bus, tmp_path, config(to={"late": LateSecret(file), "other": url_of(other)})) as context,
    ):
        await fire(bus, "a")
        await eventually(lambda: len(other.processed) == 1)
        heartbeat = context.status.heartbeat(0, 0.0)
        assert (heartbeat.state, f"{expected}, found {file}: No such" in heartbeat.reason) == ("degraded", True)
        file.write_text(f"{late.url}/canary")
        await eventually(lambda: len(late.processed) == 1)
        await eventually(lambda: context.status.heartbeat(0, 0.0).state == "in_sync")


async def test_a_broken_receiver_stays_reported_over_other_incidents_and_a_restart(bus: Bus, tmp_path: Path) -> None:
    def refuse(_: Got) -> Reply:
        return Reply(404)

    async with StandIn(refuse) as broken, StandIn(ok) as other:
        settings = config(to={"broken": url_of(broken), "other": url_of(other)})
        reports = "critical receiver broken cannot be notified", "resolved receiver broken is notified again"
        async with at_work(bus, tmp_path, settings):
            await fire(bus, "a")
            await eventually(lambda: reports[0] in titles(other))
            await fire(bus, "a", state="resolved")  # what it refused first is over
            await fire(bus, "b")
            await eventually(lambda: len(broken.got) == 2)
        async with at_work(bus, tmp_path, settings):
            await eventually(lambda: len(broken.got) >= 3)
            await stays(lambda: reports[1] not in titles(other), 6.0)
            assert titles(other).count(reports[0]) == 1


async def test_what_waits_shows_in_the_heartbeat_and_in_the_ping(bus: Bus, tmp_path: Path) -> None:
    async with StandIn(ok) as slow, StandIn(ok) as alive:
        retry_s = math.ceil(MACHINE.limit_s(5))  # longer than it takes to read a heartbeat and to be pinged
        slow.faults = [Fault("reply", Reply(429, headers={"Retry-After": f"{retry_s}"}), is_processed=False)]
        deadman = DeadmanReceiver(url=url_of(alive), every_s=0.2)
        settings = config(to={"tool": url_of(slow)}, deadmen={"alive": deadman})
        async with at_work(bus, tmp_path, settings) as context:
            assert context.status.backlogs() == {}
            await fire(bus, "a")
            await eventually(lambda: context.status.backlogs().get("tool", 0.0) > 1.0)
            assert context.status.heartbeat(0, 0.0).backlog_s["tool"] > 1.0
            await eventually(lambda: any(int(each.partition(b"=")[2]) >= 1 for each in bodies(alive)))
            await eventually(lambda: settled(context, 1, "open"))
            # It is published before the courier looks again and finds nothing to do.
            await eventually(lambda: context.status.heartbeat(0, 0.0).backlog_s == {})


async def test_a_flood_is_one_digest_also_over_a_restart_and_so_is_its_end(bus: Bus, tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(12)]
    flood = FloodConfig(waiting=5, worst=2)
    async with StandIn(ok) as server:
        server.faults = [Fault("reply", Reply(429, headers={"Retry-After": "1"}), is_processed=False)] * 200
        settings = config(to={"tool": url_of(server)}, flood=flood)
        async with at_work(bus, tmp_path, settings) as context:
            await fire(bus, *names)
            await eventually(lambda: len(published(context, "incident")) == len(names))
            assert not server.processed
            server.faults.clear()  # the limit held until all were open
            await eventually(lambda: any(each.entries and each.delivered for each in published(context, "notice")))
        async with at_work(bus, tmp_path, settings) as context:
            await eventually(lambda: settled(context, 13, "open"))
            told = len({*titles(server)})  # one that was on its way when the first run ended may have come twice
            assert told <= 4  # the first, the two worst, the digest
            await fire(bus, *names, state="resolved")
            await eventually(lambda: settled(context, 13, "resolved"))
            ends = [each for each in titles(server) if each.startswith("resolved")]
            assert len(ends) == told
            assert "resolved 9 incidents are over" in ends or "resolved 10 incidents are over" in ends


async def test_the_dead_man_is_pinged_while_alerts_can_be_read_and_delivered(
    bus: Bus, server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "STILL_S", MACHINE.limit_s(3.0))
    async with StandIn(ok) as outside:
        deadman = DeadmanReceiver(url=url_of(outside, "/ping/{cluster}"), every_s=0.2)
        async with at_work(bus, tmp_path, config(to={}, routed=[], deadmen={"alive": deadman})) as context:
            await eventually(lambda: len(outside.got) >= 2)
            assert {each.path for each in outside.got} == {"/ping/test"}
            server.kill()
            await eventually(lambda: not bus.is_connected)
            pinged = len(outside.got)
            await stays(lambda: len(outside.got) <= pinged + 1, 1.0)
            await server.start()
            await eventually(lambda: len(outside.got) > pinged + 1)

            await delete_stream(await bus.session(), "KGENTS_ALERT")
            await eventually(lambda: "a stream cannot be read" in context.status.heartbeat(0, 0.0).reason)
            pinged = len(outside.got)
            await stays(lambda: len(outside.got) <= pinged + 1, 1.0)
            await provision_streams(bus)
            await eventually(lambda: len(outside.got) > pinged + 1)
            await eventually(lambda: context.status.heartbeat(0, 0.0).state == "in_sync")


@pytest.mark.parametrize("path", ["/canary"])
async def test_no_secret_is_in_a_row_a_log_or_a_heartbeat(
    bus: Bus, tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async with StandIn(ok) as server:
        server.faults = [Fault("reset"), Fault("reply", Reply(500)), Fault("reply", Reply(404))]
        async with at_work(bus, tmp_path, config(to={"tool": url_of(server, path)})) as context:
            await fire(bus, "a", "b", "c")
            await eventually(lambda: any(each.failure for each in published(context, "notice")))
            await eventually(lambda: len(server.got) >= 3)
            rows = repr(published(context, "notice")) + repr(context.status.heartbeat(0, 0.0))
    printed = capsys.readouterr()
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("kgents"))
    assert "notice_failed" in printed.out + ours
    assert "canary" not in rows + printed.out + printed.err + ours
