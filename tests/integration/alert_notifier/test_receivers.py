"""Each receiver against a server that checks its requests by the vendor's rules."""

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from kgents_alert_notifier.delivery.outcome import (
    Delivered,
    Found,
    InDoubt,
    NotFound,
    NotSearchable,
    NotSent,
    Outcome,
    Refused,
    Unanswered,
)
from kgents_alert_notifier.message.facts import Facts
from kgents_alert_notifier.receiver_config import PagerDutyReceiver, SlackReceiver, WebhookReceiver
from kgents_alert_notifier.receivers.pagerduty import PagerDuty, digest
from kgents_alert_notifier.receivers.receiver import Receiver
from kgents_alert_notifier.receivers.slack import SlackBot, SlackWebhook
from kgents_alert_notifier.receivers.webhook import Webhook
from kgents_shared.bus.config import LateSecret
from support.http_stand_in import Fault, Got, Reply, StandIn
from support.incident_facts import acknowledged, facts, incident, resolved
from support.vendor_rules import PagerDutyService, Slack

KEY = "i.1.ops"
WHSEC = "whsec_" + base64.b64encode(b"canary-secret-of-24-bytes").decode()


def now() -> datetime:
    return datetime.now(UTC)


async def send(receiver: Receiver, what: Facts, handle: Mapping[str, str] | None = None, key: str = KEY) -> Outcome:
    return await receiver.send(what, key, handle or {}, 5.0)


def ok(_: Got) -> Reply:
    return Reply(204)


# Slack: a bot


def bot(server: StandIn, slack: Slack) -> SlackBot:
    return SlackBot(SlackReceiver(token=LateSecret(slack.token), channel="C0123ABCD", url=server.url))


async def test_a_bot_has_one_message_with_a_thread_for_an_incident() -> None:
    slack = Slack()
    async with StandIn(slack.rules) as server:
        receiver = bot(server, slack)
        opened = await send(receiver, facts())
        assert opened == Delivered({"channel": "C0123ABCD", "ts": "1795954000.000000"})
        handle = opened.handle
        known = {"known_revision": 1, "known_state": "open"}
        assert await send(receiver, facts(incident(revision=2, affected_count=40), **known), handle) == Delivered()
        assert (len(slack.parents), slack.replies, slack.updates) == (1, [], 1)  # growth only edits
        assert await send(receiver, facts(acknowledged(), **known), handle) == Delivered()
        known = {"known_revision": 2, "known_state": "acknowledged"}
        assert await send(receiver, facts(resolved(), **known), handle) == Delivered()
        await receiver.close()
    assert len(slack.parents) == 1
    assert [each["text"].partition(":")[0] for each in slack.replies] == ["ACKNOWLEDGED", "RESOLVED"]
    assert slack.parents[0]["text"].startswith("RESOLVED")
    assert slack.parents[0]["metadata"]["event_payload"] == {"incident": resolved().id, "revision": 3}


async def test_a_bot_finds_its_message_after_a_lost_answer() -> None:
    slack = Slack()
    async with StandIn(slack.rules) as server:
        receiver = bot(server, slack)
        assert await receiver.find(facts(), {}, 5.0) == NotFound()
        server.faults = [Fault("half")]
        assert isinstance(await send(receiver, facts()), InDoubt)
        assert await receiver.find(facts(), {}, 5.0) == Found({"channel": "C0123ABCD", "ts": "1795954000.000000"}, 1)
        assert await receiver.find(facts(incident(2)), {}, 5.0) == NotFound()
        server.faults = [Fault("reply", Reply(500))]
        assert await receiver.find(facts(), {}, 5.0) == Unanswered("search: HTTP 500")
        missing = json.dumps({"ok": False, "error": "missing_scope"}).encode()
        server.faults = [Fault("reply", Reply(200, missing))]
        assert await receiver.find(facts(), {}, 5.0) == NotSearchable()
        await receiver.close()


async def test_a_bot_posts_again_when_its_message_was_deleted() -> None:
    slack = Slack()
    async with StandIn(slack.rules) as server:
        receiver = bot(server, slack)
        gone = {"channel": "C0123ABCD", "ts": "1.000001"}
        found = await send(receiver, facts(resolved(), known_revision=2, known_state="open"), gone)
        assert found == Delivered({"channel": "C0123ABCD", "ts": "1795954000.000000"})
        await receiver.close()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("channel_not_found", Refused("channel_not_found")),
        ("missing_scope", Refused("missing_scope")),
        ("ratelimited", NotSent("ratelimited")),
        ("fatal_error", InDoubt("fatal_error")),
        ("xoxb-canary-token!", Refused("an unknown error")),
    ],
)
async def test_slack_says_what_is_wrong_with_a_code_of_success(error: str, expected: Outcome) -> None:
    slack = Slack()
    async with StandIn(slack.rules) as server:
        receiver = bot(server, slack)
        server.faults = [Fault("reply", Reply(200, json.dumps({"ok": False, "error": error}).encode()), False)]
        assert await send(receiver, facts()) == expected
        await receiver.close()


async def test_an_answer_that_is_not_slacks_is_in_doubt() -> None:
    slack = Slack()
    async with StandIn(slack.rules) as server:
        receiver = bot(server, slack)
        server.faults = [Fault("reply", Reply(200, b"<html>log in to this network</html>"), False)]
        assert await send(receiver, facts()) == InDoubt("an answer that is not Slack's")
        await receiver.close()


async def test_the_token_is_read_again_for_each_request(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("xoxb-old\n")
    slack = Slack()
    slack.token = "xoxb-new"
    async with StandIn(slack.rules) as server:
        receiver = SlackBot(SlackReceiver(token=LateSecret(file), channel="C0123ABCD", url=server.url))
        before = receiver.secrets()
        assert await send(receiver, facts()) == Refused("invalid_auth")
        file.write_text("xoxb-new\n")
        assert receiver.secrets() != before
        assert isinstance(await send(receiver, facts()), Delivered)
        file.unlink()
        assert await send(receiver, facts()) == NotSent("the token's file cannot be read")
        await receiver.close()


# Slack: an incoming webhook


async def test_a_webhook_of_slack_posts_changes_of_state_and_not_growth() -> None:
    slack = Slack()
    async with StandIn(slack.webhook_rules) as server:
        receiver = SlackWebhook(SlackReceiver(webhook=LateSecret(f"{server.url}/services/T0/B0/canary")))
        assert await send(receiver, facts()) == Delivered()
        growth = facts(incident(revision=2, affected_count=40), known_revision=1, known_state="open")
        assert await send(receiver, growth) == Delivered(is_requested=False)
        assert await send(receiver, facts(resolved(), known_revision=2, known_state="open")) == Delivered()
        assert [each["text"].partition(":")[0] for each in slack.messages] == ["CRITICAL", "RESOLVED"]
        server.faults = [Fault("reply", Reply(410, b"channel_is_archived"), False)]
        assert await send(receiver, facts()) == Refused("HTTP 410")
        await receiver.close()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"ok", Delivered()),
        (b"", Delivered()),
        (b'{"success":true,"ok":true}', Delivered()),
        (b"<html>log in to this network</html>", NotSent("a page instead of Slack's answer")),
        (b"invalid_payload", Refused("invalid_payload")),
        (b'{"ok": false, "error": "channel_is_archived"}', Refused("channel_is_archived")),
        (b'{"ok": false, "error": "fatal_error"}', InDoubt("fatal_error")),
    ],
)
async def test_a_code_of_success_with_an_error_in_it_is_none_of_a_webhook_either(
    body: bytes, expected: Outcome
) -> None:
    async with StandIn(Slack().webhook_rules) as server:
        receiver = SlackWebhook(SlackReceiver(webhook=LateSecret(f"{server.url}/services/T0/B0/canary")))
        server.faults = [Fault("reply", Reply(200, body), False)]
        assert await send(receiver, facts()) == expected
        await receiver.close()


# PagerDuty


def pager(server: StandIn, key: LateSecret | None = None) -> PagerDuty:
    return PagerDuty(PagerDutyReceiver(key=key or LateSecret("k" * 32), url=server.url))


async def test_pagerduty_opens_acknowledges_and_resolves_one_incident() -> None:
    service = PagerDutyService()
    async with StandIn(service.rules) as server:
        receiver = pager(server)
        opened = await send(receiver, facts())
        assert opened == Delivered({"key": digest("k" * 32)})
        assert isinstance(await send(receiver, facts(may_repeat=True)), Delivered)  # after a doubt
        growth = facts(incident(revision=2, affected_count=40), known_revision=1, known_state="open")
        assert await send(receiver, growth) == Delivered(is_requested=False)
        assert isinstance(await send(receiver, facts(acknowledged(), known_revision=1, known_state="open")), Delivered)
        known = {"known_revision": 2, "known_state": "acknowledged"}
        assert isinstance(await send(receiver, facts(resolved(), **known)), Delivered)
        await receiver.close()
    actions = [each["event_action"] for each in service.events]
    assert actions == ["trigger", "trigger", "acknowledge", "resolve"]
    assert (service.opened, service.open_keys, service.acknowledged) == ([incident().id], set(), {incident().id})


async def test_pagerduty_is_triggered_again_only_when_it_becomes_worse() -> None:
    service = PagerDutyService()
    async with StandIn(service.rules) as server:
        receiver = pager(server)
        worse = incident(revision=4, severity_revision=4)
        assert isinstance(await send(receiver, facts(worse, known_revision=3, known_state="open")), Delivered)
        taken = acknowledged(revision=1)
        assert isinstance(await send(receiver, facts(taken)), Delivered)
        await receiver.close()
    actions = [each["event_action"] for each in service.events]
    assert actions == ["trigger", "resolve", "trigger", "acknowledge"]  # the first one is an incident of its own there


async def test_pagerduty_resolves_with_the_key_that_opened_it(tmp_path: Path) -> None:
    file, old, new = tmp_path / "key", "o" * 32, "n" * 32
    service = PagerDutyService(routing_keys={old, new})
    async with StandIn(service.rules) as server:
        receiver = pager(server, LateSecret(file))
        file.write_text(old)
        opened = await send(receiver, facts())
        assert isinstance(opened, Delivered)
        file.write_text(f"{new}\n{old}\n")
        known = {"known_revision": 1, "known_state": "open"}
        assert isinstance(await send(receiver, facts(resolved(), **known), opened.handle), Delivered)
        assert isinstance(await send(receiver, facts(incident(2))), Delivered)
        await receiver.close()
    assert [each["routing_key"] for each in service.events] == [old, old, new]


async def test_pagerduty_refuses_what_is_not_valid_and_names_minutes_when_limited() -> None:
    service = PagerDutyService()
    async with StandIn(service.rules) as server:
        assert await send(pager(server, LateSecret("short")), facts()) == Refused(
            "the routing key does not have 32 characters"
        )
        assert await send(pager(server, LateSecret("x" * 32)), facts()) == Refused("HTTP 400")
        receiver = pager(server)
        server.faults = [Fault("reply", Reply(429), False), Fault("reply", Reply(200), False)]
        assert await send(receiver, facts()) == NotSent("HTTP 429", 120.0)
        assert await send(receiver, facts()) == InDoubt("HTTP 200 instead of 202")


async def test_texts_at_their_limits_are_taken_by_slack_and_pagerduty() -> None:
    huge = incident(
        title="<!channel> & \u202eevil\n" + "ä̈" * 10_000,
        affected_count=821,
        reasons=[each for each in incident().reasons for _ in range(2)][:3],
    )
    slack, service = Slack(), PagerDutyService()
    async with StandIn(slack.rules) as workspace, StandIn(service.rules) as events:
        assert isinstance(await send(bot(workspace, slack), facts(huge)), Delivered)
        assert isinstance(await send(pager(events), facts(huge)), Delivered)
    shown = json.dumps(slack.messages, ensure_ascii=False)
    assert "<!channel>" not in slack.messages[0]["text"]
    assert "\u202e" not in shown
    assert "and 819 more" in shown


# A webhook


async def test_a_webhook_is_signed_so_that_the_independent_library_verifies_it() -> None:
    async with StandIn(ok) as server:
        receiver = Webhook(WebhookReceiver(url=LateSecret(f"{server.url}/hook"), secret=LateSecret(WHSEC)), now)
        assert await send(receiver, facts()) == Delivered()
        assert await send(receiver, facts(may_repeat=True)) == Delivered()
        await receiver.close()
    first, second = server.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == KEY
    body = Verifier(WHSEC).verify(first.body, first.headers)
    assert (body["status"], body["incident"]["id"]) == ("critical", incident().id)
    with pytest.raises(WebhookVerificationError):
        Verifier(WHSEC).verify(first.body + b" ", first.headers)
    assert json.loads(second.body)["may_repeat"] is True


async def test_while_secrets_are_exchanged_both_verify(tmp_path: Path) -> None:
    other = "whsec_" + base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    file = tmp_path / "secret"
    file.write_text(f"{other}\n{WHSEC}\n")
    async with StandIn(ok) as server:
        receiver = Webhook(WebhookReceiver(url=LateSecret(server.url), secret=LateSecret(file)), now)
        assert await send(receiver, facts()) == Delivered()
        await receiver.close()
    for secret in (other, WHSEC):
        Verifier(secret).verify(server.got[0].body, server.got[0].headers)


@pytest.mark.parametrize("secret", ["plain-secret", "whsec_!!!", "whsec_" + base64.b64encode(b"short").decode(), ""])
async def test_a_secret_that_is_none_is_refused_without_being_quoted(secret: str) -> None:
    async with StandIn(ok) as server:
        receiver = Webhook(WebhookReceiver(url=LateSecret(server.url), secret=LateSecret(secret)), now)
        found = await send(receiver, facts())
        await receiver.close()
    assert isinstance(found, Refused)
    assert server.got == []
    assert not secret or secret.removeprefix("whsec_") not in found.why


async def test_a_webhook_may_be_a_cloud_event() -> None:
    async with StandIn(ok) as server:
        receiver = Webhook(WebhookReceiver(url=LateSecret(server.url), format="cloudevents"), now)
        assert await send(receiver, facts()) == Delivered()
        await receiver.close()
    got = server.got[0]
    headers = {"content-type": got.headers["content-type"]}
    event = from_http_event(HTTPMessage(headers=headers, body=got.body), JSONFormat())
    assert (event.get_id(), event.get_type()) == (KEY, "io.kgents.incident.v1")
    assert (event.get_source(), event.get_subject()) == ("/kgents/test", incident().id)
    data = event.get_data()
    assert isinstance(data, dict)
    assert data["incident"]["title"] == incident().title


async def test_what_was_acknowledged_pages_again_at_pagerduty_when_it_becomes_critical() -> None:
    """It pages for what is opened there, and for nothing that is acknowledged."""
    service = PagerDutyService()
    async with StandIn(service.rules) as server:
        receiver = pager(server)
        steps = [
            facts(incident(severity="warning")),
            facts(acknowledged(severity="warning"), known_revision=1, known_state="open"),
            facts(incident(revision=3, severity_revision=3), known_revision=2, known_state="acknowledged"),
            facts(resolved(revision=4, severity_revision=3), known_revision=3, known_state="open"),
        ]
        for count, each in zip((1, 1, 2, 2), steps, strict=True):
            assert isinstance(await send(receiver, each), Delivered)
            assert len(service.opened) == count
            assert len(service.open_keys) == (0 if each.is_over else 1)
        await receiver.close()
