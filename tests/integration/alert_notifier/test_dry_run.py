"""What `kgents alerts replay` says would be sent is what the service sends, from the messages on the streams."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kgents_alert_notifier.app import SERVICE
from kgents_alert_notifier.config import Config, FloodConfig
from kgents_alert_notifier.dry_run import Changed, DryRun
from kgents_alert_notifier.grouping.grouping_config import GroupingConfig
from kgents_alert_notifier.receiver_config import ReceiverConfig, WebhookReceiver
from kgents_alert_notifier.routing.route import EscalationConfig, RouteConfig
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import LateSecret
from kgents_shared.contract.codec import ALERT, encode
from support.http_stand_in import Got, Reply, StandIn
from support.in_process import run_in_process
from support.state import make_alert, subject_of
from support.streams import keep_all, stored
from support.waiting import eventually

TICK = timedelta(seconds=0.5)
Sent = tuple[str, str, str]
"""Receiver, status, title."""


def ok(_: Got) -> Reply:
    return Reply(204)


def settings(ops: str, chief: str) -> Config:
    urls = {"ops": ops, "chief": chief}
    receivers = {name: ReceiverConfig(webhook=WebhookReceiver(url=LateSecret(url))) for name, url in urls.items()}
    escalate = [EscalationConfig(after_s=4, to=["chief"])]
    routes = [
        RouteConfig(match={"name": "quiet"}, to=[]),
        RouteConfig(match={"name": "worse"}, to=["ops"], wait_s=0),
        RouteConfig(to=["ops"], wait_s=0, regroup_s=0, escalate=escalate),
    ]
    grouping = GroupingConfig(calm_s=1)
    return Config(receivers=receivers, routes=routes, grouping=grouping, flood=FloodConfig(waiting=100))


async def say(bus: Bus, name: str, state: str, **fields: Any) -> None:
    message = make_alert(name, state=state, **fields)
    await (await bus.session()).request(subject_of(message), encode(message))


async def test_a_dry_run_says_what_is_sent(bus: Bus, tmp_path: Path) -> None:
    async with StandIn(ok) as ops, StandIn(ok) as chief:
        config = settings(ops.url, chief.url)
        began = datetime.now(UTC)
        await keep_all(bus, "KGENTS_ALERT")
        async with run_in_process(SERVICE, config, bus, tmp_path) as context:
            await eventually(lambda: context.status.state == "in_sync")
            for name in ("lasts", "quiet", "worse"):
                severity = "warning" if name == "worse" else "critical"
                await say(bus, name, "firing", started_at=began, severity=severity)
            await eventually(lambda: len(ops.processed) == 2)
            await say(bus, "worse", "firing", started_at=began, severity="critical")
            await eventually(lambda: len(ops.processed) == 3)
            await eventually(lambda: len(chief.processed) == 1)  # no one acknowledges
            for name in ("lasts", "quiet", "worse"):
                await say(bus, name, "resolved", started_at=began, ended_at=datetime.now(UTC))
            await eventually(lambda: len(ops.processed) == 5 and len(chief.processed) == 2)
        sent = sorted([*of("ops", ops), *of("chief", chief)])
    assert await said(bus, config, began) == sent


def of(name: str, server: StandIn) -> list[Sent]:
    bodies = [json.loads(each.body) for each in server.processed]
    return [(name, each["status"], each["incident"]["title"]) for each in bodies]


async def said(bus: Bus, config: Config, began: datetime) -> list[Sent]:
    """The same by a dry run: with each message at its time, and by the clock in between."""
    moments: dict[datetime, list[Changed]] = {}
    for each in await stored(bus, "KGENTS_ALERT"):
        at = datetime.fromtimestamp(each.time_ns / 1e9, UTC)
        moments.setdefault(at, []).append((each.subject, ALERT.decode(each.payload)))
    lasted = max(moments) - began + timedelta(seconds=10)
    ticks = [began + TICK * number for number in range(int(lasted / TICK))]
    dry_run = DryRun("test", config)
    found = [each for now in sorted({*moments, *ticks}) for each in dry_run.take(now, moments.get(now, []))]
    return sorted((each.receiver, each.status, each.text.partition(": ")[2]) for each in found)
