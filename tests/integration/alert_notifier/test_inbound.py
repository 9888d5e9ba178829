"""What people do at Slack and PagerDuty, over HTTP and a real nats-server: signed requests → what the streams hold."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from kgents_alert_notifier.app import SERVICE
from kgents_alert_notifier.config import Config
from kgents_alert_notifier.inbound.door import BODY_MAX, listen
from kgents_alert_notifier.inbound.inbound_config import InboundConfig
from kgents_alert_notifier.receiver_config import PagerDutyReceiver, ReceiverConfig
from kgents_alert_notifier.routing.route import RouteConfig
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import LateSecret
from kgents_shared.bus.word import last_word
from kgents_shared.contract import subjects
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.codec import ACK, SILENCE, encode
from kgents_shared.contract.errors import ConfigError
from kgents_shared.contract.incident import Incident
from kgents_shared.runtime.service import Context
from support.audit import records, trail
from support.http_stand_in import StandIn
from support.in_process import published, run_in_process
from support.nats_server import NatsServer
from support.ports import free_port
from support.running import running
from support.service_process import ServiceProcess
from support.state import make_alert, subject_of
from support.streams import stored
from support.vendor_requests import action, event, interaction, signed_as_pagerduty, signed_as_slack
from support.vendor_rules import PagerDutyService
from support.waiting import eventually

SECRET = "canary-of-the-app"
KEY = "k" * 32


def settings(port: int, secret: Path, pagerduty_url: str = "http://127.0.0.1:1") -> Config:
    pager = ReceiverConfig(pagerduty=PagerDutyReceiver(key=LateSecret(KEY), url=pagerduty_url))
    inbound = InboundConfig(port=port, slack_secret=LateSecret(secret), pagerduty_secret=LateSecret(secret))
    return Config(receivers={"pager": pager}, routes=[RouteConfig(to=["pager"], wait_s=0)], inbound=inbound)


class Vendors:
    """They post to one notifier."""

    def __init__(self, port: int, secret: str = SECRET) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self.secret = secret

    async def slack(self, body: bytes, *, at: datetime | None = None) -> int:
        return await self.post("/slack", body, signed_as_slack(body, self.secret, at or datetime.now(UTC)))

    async def pagerduty(self, kind: str, incident: str, *, at: datetime | None = None) -> int:
        body = event(kind, key=incident, occurred_at=(at or datetime.now(UTC)).isoformat())
        return await self.post("/pagerduty", body, signed_as_pagerduty(body, self.secret))

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        async with httpx.AsyncClient() as client:
            return (await client.post(f"{self._url}{path}", content=body, headers=headers)).status_code


@asynccontextmanager
async def at_work(bus: Bus, directory: Path) -> AsyncIterator[tuple[Context[Any], Vendors, Incident]]:
    """A notifier with one open incident, which PagerDuty was sent."""
    secret, port = directory / "secret", free_port()
    secret.write_text(f"{SECRET}\n")
    async with StandIn(PagerDutyService().rules) as pagerduty:
        config = settings(port, secret, pagerduty.url)
        async with run_in_process(SERVICE, config, bus, directory) as context, running(listen(context)):
            await eventually(lambda: context.status.state == "in_sync")
            await fire(bus, "a")
            await eventually(lambda: [each.delivered for each in published(context, "notice")] == [1])
            await eventually(lambda: is_listening(port))
            yield context, Vendors(port), published(context, "incident")[0]


async def fire(bus: Bus, name: str, **fields: Any) -> None:
    message = make_alert(name, started_at=datetime.now(UTC), **fields)
    await (await bus.session()).request(subject_of(message), encode(message))


async def is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def word(bus: Bus, incident: Incident) -> Acknowledgement | None:
    subject = subjects.build("ack", cluster=incident.cluster, incident=incident.id)
    return (await last_word(await bus.session(), ACK, subject))[0]


def acknowledged(context: Context[Any]) -> tuple[str, str] | None:
    found = published(context, "incident")[0].acknowledged
    return (found.by, found.via) if found is not None else None


async def test_a_click_in_slack_acknowledges_and_silences(bus: Bus, tmp_path: Path) -> None:
    async with at_work(bus, tmp_path) as (context, vendors, incident):
        value = f"{incident.id}@{incident.revision}"
        assert await vendors.slack(interaction(actions=[action("ack", value)])) == 200
        await eventually(lambda: acknowledged(context) == ("ada", "slack"))
        click = interaction(actions=[action("silence", value)])
        for _ in range(2):  # someone has read the request and sends it again
            assert await vendors.slack(click) == 200
        silences = [SILENCE.decode(each.payload) for each in await stored(bus, "KGENTS_SILENCE")]
        assert [(each.by, each.via, each.matchers[0].value) for each in silences] == [("ada", "slack", incident.id)]
        await eventually(lambda: published(context, "incident")[0].silenced_by == [silences[0].id])
        acknowledged_there = ("acknowledge", "slack", "ada", f"incident {incident.id}", "done")
        silenced_there = ("silence", "slack", "ada", f"silence {silences[0].id}", "done")
        assert await trail(bus) == [acknowledged_there, silenced_there]
        assert {each.origin for each in await records(bus)} == {"127.0.0.1"}


async def test_what_a_person_does_at_pagerduty_is_done_here(bus: Bus, tmp_path: Path) -> None:
    async with at_work(bus, tmp_path) as (context, vendors, incident):
        assert await vendors.pagerduty("incident.acknowledged", incident.id) == 200
        await eventually(lambda: acknowledged(context) == ("Tenex Engineer", "pagerduty"))
        assert await vendors.pagerduty("incident.unacknowledged", incident.id) == 200
        await eventually(lambda: acknowledged(context) is None)
        of = ("pagerduty", "Tenex Engineer", f"incident {incident.id}", "done")
        assert await trail(bus) == [("acknowledge", *of), ("unacknowledge", *of)]


async def test_a_request_that_comes_again_or_late_changes_nothing(bus: Bus, tmp_path: Path) -> None:
    async with at_work(bus, tmp_path) as (context, vendors, incident):
        first = datetime.now(UTC)
        assert await vendors.pagerduty("incident.acknowledged", incident.id, at=first) == 200
        await eventually(lambda: acknowledged(context) is not None)  # else both together would change nothing
        assert await vendors.pagerduty("incident.unacknowledged", incident.id) == 200
        await eventually(lambda: published(context, "incident")[0].revision == 3)
        assert await vendors.pagerduty("incident.acknowledged", incident.id, at=first) == 200  # delivered once more
        found = await word(bus, incident)
        assert found is None or found.is_removal
        click = interaction(actions=[action("ack", f"{incident.id}@3", at=first)])
        assert await vendors.slack(click) == 200  # of before it was taken back
        found = await word(bus, incident)
        assert found is None or found.is_removal


async def test_an_acknowledgement_holds_for_what_was_seen(bus: Bus, tmp_path: Path) -> None:
    async with at_work(bus, tmp_path) as (_, vendors, incident):
        assert await vendors.slack(interaction(actions=[action("ack", f"{incident.id}@0")])) == 200
        found = await word(bus, incident)
        assert found is not None
        assert found.revision == 0
        assert await vendors.slack(interaction(actions=[action("ack", f"{incident.id}@99")])) == 200
        found = await word(bus, incident)
        assert found is not None
        assert found.revision == 1  # the one that there is


async def test_what_is_over_or_unknown_is_not_acknowledged(bus: Bus, tmp_path: Path) -> None:
    async with at_work(bus, tmp_path) as (_, vendors, incident):
        unknown = incident.id[::-1]
        assert await vendors.pagerduty("incident.acknowledged", unknown) == 200  # a refusal disables the subscription
        assert await vendors.slack(interaction(actions=[action("ack", f"{unknown}@1")])) == 200
        assert await stored(bus, "KGENTS_ACK") == []


async def test_only_signed_requests_of_the_two_paths_are_taken(bus: Bus, tmp_path: Path) -> None:
    async with at_work(bus, tmp_path) as (context, vendors, incident):
        click = interaction(actions=[action("ack", f"{incident.id}@1")])
        now = datetime.now(UTC)
        genuine = signed_as_slack(click, SECRET, now)
        assert await vendors.post("/slack", click, {}) == 403
        assert await vendors.post("/slack", click, signed_as_slack(click, "other", now)) == 403
        assert await vendors.post("/slack", click + b"&x=1", genuine) == 403
        assert await vendors.slack(click, at=now - timedelta(minutes=6)) == 403
        assert await vendors.post("/pagerduty", click, genuine) == 403
        assert await vendors.post("/", click, genuine) == 404
        assert await vendors.post("/metrics", click, genuine) == 404
        large = b"x" * (BODY_MAX + 1)
        assert await vendors.post("/slack", large, signed_as_slack(large, SECRET, now)) == 413
        assert await stored(bus, "KGENTS_ACK") == []
        assert await trail(bus) == []
        assert acknowledged(context) is None


async def test_a_new_secret_counts_at_once(bus: Bus, tmp_path: Path) -> None:
    async with at_work(bus, tmp_path) as (_, vendors, incident):
        click = interaction(actions=[action("ack", f"{incident.id}@1")])
        (tmp_path / "secret").write_text("newer\n")
        assert await vendors.slack(click) == 403
        vendors.secret = "newer"
        assert await vendors.slack(click) == 200
        (tmp_path / "secret").unlink()
        assert await vendors.slack(click) == 503


async def test_while_nats_is_away_the_vendor_is_asked_to_come_again(
    server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    async with at_work(bus, tmp_path) as (_, vendors, incident):
        server.kill()
        assert await vendors.pagerduty("incident.acknowledged", incident.id) == 503
        await server.start()
        await eventually(lambda: came_through(vendors, incident))


async def came_through(vendors: Vendors, incident: Incident) -> bool:
    return await vendors.pagerduty("incident.acknowledged", incident.id) == 200


async def test_a_port_that_is_taken_ends_the_start_with_the_way_out(bus: Bus, tmp_path: Path) -> None:
    port = free_port()
    taken = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    (tmp_path / "secret").write_text(SECRET)
    async with taken, run_in_process(SERVICE, settings(port, tmp_path / "secret"), bus, tmp_path) as context:
        with pytest.raises(ConfigError) as found:
            await listen(context)
    assert f"127.0.0.1:{port}" in str(found.value)


async def test_an_instance_without_the_lease_takes_them_too(server: NatsServer, bus: Bus, tmp_path: Path) -> None:
    """Behind a load balancer either of two instances is asked."""
    secret, ports = tmp_path / "secret", [free_port(), free_port()]
    secret.write_text(SECRET)
    async with StandIn(PagerDutyService().rules) as pagerduty:
        processes = [
            ServiceProcess(
                "alert-notifier", server.url, tmp_path, instance=name, config=config(tmp_path, port, pagerduty)
            )
            for name, port in zip(("one", "two"), ports, strict=True)
        ]
        async with processes[0], processes[1]:
            for port in ports:
                await eventually(lambda port=port: is_listening(port))  # type: ignore[misc]  # mypy infers no lambda with a default
            await fire(bus, "a")
            await eventually(lambda: actions(pagerduty) == ["trigger"])
            incident = json.loads(pagerduty.processed[0].body)["dedup_key"]
            assert [await Vendors(port).pagerduty("incident.acknowledged", incident) for port in ports] == [200, 200]
            await eventually(lambda: actions(pagerduty) == ["trigger", "acknowledge"])
        logs = "".join(each.log.read_text() for each in processes)
    assert SECRET not in logs
    assert logs.count("decided") == 2


def notifier(server: NatsServer, directory: Path, name: str, settings: Path) -> ServiceProcess:
    return ServiceProcess("alert-notifier", server.url, directory, instance=name, config=settings)


def config(directory: Path, port: int, pagerduty: StandIn) -> Path:
    file = directory / f"{port}.yaml"
    key = directory / "key"
    key.write_text(KEY)
    receivers = {"pager": {"pagerduty": {"key_file": str(key), "url": pagerduty.url}}}
    routes = [{"to": ["pager"], "wait_s": 0}]
    inbound = {"port": port, "pagerduty_secret_file": str(directory / "secret")}
    file.write_text(json.dumps({"alert-notifier": {"receivers": receivers, "routes": routes, "inbound": inbound}}))
    return file


def actions(pagerduty: StandIn) -> list[str]:
    return [json.loads(each.body)["event_action"] for each in pagerduty.processed]
