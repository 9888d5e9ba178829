"""One receiver at work over a real nats-server: what it is sent, when, and what the stream then says of it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from kgents_alert_notifier.delivery.courier import Courier, Flood
from kgents_alert_notifier.delivery.decide import Desired
from kgents_alert_notifier.delivery.ledger import Ledger
from kgents_alert_notifier.delivery.target import Target
from kgents_alert_notifier.message.facts import Links
from kgents_alert_notifier.receiver_config import PagerDutyReceiver, SlackReceiver, WebhookReceiver
from kgents_alert_notifier.receivers.pagerduty import PagerDuty
from kgents_alert_notifier.receivers.receiver import Receiver
from kgents_alert_notifier.receivers.slack import SlackBot
from kgents_alert_notifier.receivers.webhook import Webhook
from kgents_shared.bus.config import LateSecret
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.notice import Notice
from kgents_shared.runtime.clock import SystemClock
from support.http_stand_in import Fault, Got, Reply, StandIn
from support.incident_facts import incident, resolved
from support.nats_server import NatsServer
from support.running import running
from support.vendor_rules import PagerDutyService, Slack
from support.waiting import eventually, stays

CLOCK = SystemClock()


def ok(_: Got) -> Reply:
    return Reply(204)


def target(of: Incident, *, repeat: int = 0, **options: Any) -> Target:
    return Target(of, Desired(of.revision, of.state, repeat), **options)


@asynccontextmanager
async def at_work(
    receiver: Receiver, ledger: Ledger, *, name: str = "tool", waiting: int = 20, worst: int = 2
) -> AsyncIterator[Courier]:
    courier = Courier(name, receiver, ledger, CLOCK, flood=Flood(waiting, worst), links=Links())
    async with running(courier.run()):
        yield courier


def webhook(server: StandIn) -> Webhook:
    return Webhook(WebhookReceiver(url=LateSecret(f"{server.url}/canary")), CLOCK.now)


def got(server: StandIn) -> list[tuple[str, int, str]]:
    """Incident, revision, state of each request that was carried out."""
    bodies = [json.loads(each.body)["incident"] for each in server.processed]
    return [(each["id"], each.get("revision", 1), each["state"]) for each in bodies]


def ids(server: StandIn) -> list[str]:
    return [each.headers["webhook-id"] for each in server.processed]


ONE = incident().id


async def test_a_receiver_knows_the_opening_and_the_end_and_nothing_twice(ledger: Ledger) -> None:
    async with StandIn(ok) as server, at_work(webhook(server), ledger) as courier:
        courier.want(target(incident()))
        await eventually(lambda: ledger.notice("tool", ONE).delivered == 1)
        courier.want(target(incident()))
        courier.want(target(resolved()))
        await eventually(lambda: ledger.notice("tool", ONE).delivered_state == "resolved")
        courier.want(target(resolved()))
        await stays(lambda: got(server) == [(ONE, 1, "open"), (ONE, 3, "resolved")], 0.3)
    notice = ledger.notice("tool", ONE)
    assert (notice.doubts, notice.sending, notice.unconfirmed, notice.failure) == (0, 0, 0, "")
    assert notice.text == f"tool knows revision 3 (resolved) of incident {ONE}"


async def test_what_is_over_before_it_was_sent_is_not_sent(ledger: Ledger) -> None:
    async with StandIn(ok) as server, at_work(webhook(server), ledger) as courier:
        courier.want(target(resolved()))
        await stays(lambda: not server.got, 0.3)
        assert courier.waiting == 0


async def test_after_a_lost_answer_the_repeat_is_marked_and_has_the_same_id(ledger: Ledger) -> None:
    async with StandIn(ok) as server:
        server.faults = [Fault("reply", Reply(500, headers={"Retry-After": "1"}))]
        async with at_work(webhook(server), ledger) as courier:
            courier.want(target(incident()))
            await eventually(lambda: ledger.notice("tool", ONE).delivered == 1)
        assert ids(server) == [f"{ONE}.1.tool"] * 2
        assert [json.loads(each.body)["may_repeat"] for each in server.processed] == [False, True]
    assert ledger.notice("tool", ONE).doubts == 1


async def test_the_end_of_an_opening_in_doubt_is_sent(ledger: Ledger) -> None:
    async with StandIn(ok) as server:
        server.faults = [Fault("reset")]
        async with at_work(webhook(server), ledger) as courier:
            courier.want(target(incident()))
            await eventually(lambda: ledger.notice("tool", ONE).unconfirmed == 1)
            courier.want(target(resolved()))
            await eventually(lambda: ledger.notice("tool", ONE).delivered == 3)
        assert got(server) == [(ONE, 1, "open"), (ONE, 3, "resolved")]


async def test_what_was_not_sent_is_withdrawn_and_what_was_begun_is_finished(ledger: Ledger) -> None:
    async with StandIn(ok) as server:
        server.faults = [Fault("reply", Reply(429, headers={"Retry-After": "1"}), is_processed=False), Fault("hang")]
        async with at_work(webhook(server), ledger) as courier:
            courier.want(target(incident(1)))
            courier.want(target(incident(2)))
            await eventually(lambda: len(server.got) == 2)  # after the pause, one of them is being sent
            for number in (1, 2):
                courier.withdraw(incident(number).id)
            assert courier.waiting == 1
            server.faults.clear()
            await eventually(lambda: ledger.notice("tool", ONE).unconfirmed == 1)

            def is_withdrawn() -> bool:  # the outcome is on the stream just before the courier is done with it
                courier.withdraw(ONE)
                return courier.waiting == 0

            await eventually(is_withdrawn)
            await stays(lambda: len(server.got) == 2, 1.0)
    assert not ledger.notice("tool", incident(2).id).tries


@pytest.mark.parametrize("code", [429, 503])
async def test_a_limit_stops_the_whole_receiver_until_the_time_it_names(ledger: Ledger, code: int) -> None:
    async with StandIn(ok) as server:
        server.faults = [Fault("reply", Reply(code, headers={"Retry-After": "2"}), is_processed=False)]
        async with at_work(webhook(server), ledger) as courier:
            courier.want(target(incident(1)))
            courier.want(target(incident(2)))
            await eventually(lambda: len(server.processed) == 2)
        first, second, _ = (each.at_s for each in server.got)
        assert second - first >= 2.0
        assert ledger.notice("tool", ONE).doubts == (code == 503)


async def test_a_limit_holds_over_a_restart(ledger: Ledger) -> None:
    async with StandIn(ok) as server:
        server.faults = [Fault("reply", Reply(429, headers={"Retry-After": "3"}), is_processed=False)]
        async with at_work(webhook(server), ledger) as courier:
            courier.want(target(incident(1)))
            await eventually(lambda: ledger.notice("tool", ONE).paused_until is not None)
        async with at_work(webhook(server), ledger) as courier:
            courier.want(target(incident(1)))
            courier.want(target(incident(2)))
            await eventually(lambda: len(server.processed) == 2)
        first, second, _ = (each.at_s for each in server.got)
        assert second - first >= 2.9  # its clock has whole milliseconds
    assert ledger.notice("tool", ONE).paused_until is None


async def test_a_receiver_that_hangs_delays_no_other(ledger: Ledger) -> None:
    async with StandIn(ok) as hung, StandIn(ok) as server:
        hung.faults = [Fault("hang")] * 20  # also whatever is tried again on a slow machine
        async with at_work(webhook(hung), ledger, name="hung") as first, at_work(webhook(server), ledger) as second:
            first.want(target(incident()))
            await eventually(lambda: hung.got)
            second.want(target(incident()))
            await eventually(lambda: ledger.notice("tool", ONE).delivered == 1)
            assert ledger.notice("hung", ONE).delivered == 0


async def test_what_is_refused_waits_for_another_secret_and_is_a_problem(ledger: Ledger, tmp_path: Any) -> None:
    file = tmp_path / "url"
    async with StandIn(ok) as server:
        file.write_text(f"{server.url}/old-canary")
        server.faults = [Fault("reply", Reply(404), is_processed=False)]
        receiver = Webhook(WebhookReceiver(url=LateSecret(file)), CLOCK.now)
        async with at_work(receiver, ledger) as courier:
            courier.want(target(incident()))
            await eventually(lambda: courier.problem == "refused: HTTP 404")
            courier.retry_refused()
            await stays(lambda: len(server.got) == 1, 0.3)
            file.write_text(f"{server.url}/new-canary")
            courier.retry_refused()
            await eventually(lambda: ledger.notice("tool", ONE).delivered == 1)
            await eventually(lambda: not courier.problem)
    assert "canary" not in repr(list(ledger.notices()))


async def test_growth_waits_for_its_time_and_a_change_of_state_does_not(ledger: Ledger) -> None:
    async with StandIn(ok) as server, at_work(webhook(server), ledger) as courier:
        courier.want(target(incident()))
        await eventually(lambda: ledger.notice("tool", ONE).delivered == 1)
        courier.want(target(incident(revision=2, affected_count=9), regroup_s=60.0))
        await stays(lambda: len(server.got) == 1, 0.3)
        courier.want(target(resolved(), regroup_s=60.0))
        await eventually(lambda: ledger.notice("tool", ONE).delivered == 3)
    assert [revision for _, revision, _ in got(server)] == [1, 3]


async def test_a_repetition_is_sent_once_for_each_that_is_due(ledger: Ledger) -> None:
    async with StandIn(ok) as server, at_work(webhook(server), ledger) as courier:
        for repeat in (0, 1, 1, 2):
            courier.want(target(incident(), repeat=repeat))
            await eventually(lambda repeat=repeat: ledger.notice("tool", ONE).repeated == repeat)  # type: ignore[misc]  # mypy infers no lambda with a default
            await eventually(lambda: courier.waiting == 0)
        assert len(server.got) == 3


async def test_a_flood_is_the_worst_ones_and_one_digest_whose_end_is_one_message(ledger: Ledger) -> None:
    many = [incident(number, severity="warning" if number > 3 else "critical") for number in range(1, 31)]
    async with StandIn(ok) as server, at_work(webhook(server), ledger, worst=2) as courier:
        for each in many:
            courier.want(target(each))
        await eventually(lambda: all(ledger.notice("tool", each.id).delivered for each in many))
        sent = [json.loads(each.body) for each in server.processed]
        (digest,) = [each for each in sent if each["entries"]]
        assert (len(sent), len(digest["entries"])) == (3, 28)
        assert digest["entries"][0]["severity"] == "critical"
        id_ = digest["incident"]["id"]
        assert [ledger.notice("tool", each.id).via for each in many].count("digest") == 28
        assert ledger.notice("tool", id_).delivered == 1
        over = [replace(each, state="resolved", revision=2, ended_at=each.changed_at) for each in many[2:]]
        courier.want(
            Target(replace(many[0], id=id_, state="resolved", revision=2), Desired(2, "resolved"), entries=over)
        )
        await eventually(lambda: all(ledger.notice("tool", each.id).delivered_state == "resolved" for each in over))
        assert len(server.processed) == 4


async def test_an_outage_of_nats_between_intent_and_confirmation_ends_right(
    ledger: Ledger, server: NatsServer, notices: StateTable[Notice]
) -> None:
    async with StandIn(ok) as people:
        people.faults = [Fault("hang")]
        async with at_work(webhook(people), ledger) as courier:
            courier.want(target(incident()))
            await eventually(lambda: people.got)
            server.kill()
            courier.want(target(resolved()))
            await server.start()
            await eventually(lambda: ledger.notice("tool", ONE).delivered == 3)
        assert [state for _, _, state in got(people)] == ["open", "resolved"]
    assert notices.failure == ""


async def test_a_bot_that_is_found_again_has_one_message_whatever_was_lost(ledger: Ledger) -> None:
    slack = Slack()
    async with StandIn(slack.rules) as server:
        server.faults = [Fault("half"), Fault("reply", Reply(503)), None, Fault("reset"), None, Fault("reset")]
        receiver = SlackBot(SlackReceiver(token=LateSecret(slack.token), channel="C0123ABCD", url=server.url))
        async with at_work(receiver, ledger, name="ops") as courier:
            courier.want(target(incident()))
            await eventually(lambda: ledger.notice("ops", ONE).delivered == 1)
            courier.want(target(resolved()))
            await eventually(lambda: ledger.notice("ops", ONE).delivered == 3)
    assert len(slack.parents) == 1
    assert slack.parents[0]["text"].startswith("RESOLVED")
    assert ledger.notice("ops", ONE).handle == {"channel": "C0123ABCD", "ts": slack.parents[0]["ts"]}


@pytest.mark.parametrize("how", ["reset", "half"])
async def test_pagerduty_has_one_incident_whatever_was_lost(ledger: Ledger, how: str) -> None:
    service = PagerDutyService()
    async with StandIn(service.rules) as server:
        server.faults = [Fault(how), Fault("reply", Reply(500)), None, Fault(how)]
        receiver = PagerDuty(PagerDutyReceiver(key=LateSecret("k" * 32), url=server.url))
        async with at_work(receiver, ledger, name="pager") as courier:
            courier.want(target(incident()))
            await eventually(lambda: ledger.notice("pager", ONE).delivered == 1)
            courier.want(target(resolved()))
            await eventually(lambda: ledger.notice("pager", ONE).delivered == 3)
    assert (service.opened, service.open_keys) == ([ONE], set())
