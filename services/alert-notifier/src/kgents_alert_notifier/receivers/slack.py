"""Slack: a bot keeps one message for each incident up to date, with a thread; an incoming webhook only posts.

A bot finds its message again by metadata after a lost answer. A webhook's answer names no message, so there a doubt
means that the next message may be a repeat.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from kgents_alert_notifier.delivery.outcome import (
    Delivered,
    Found,
    InDoubt,
    NotFound,
    NotSearchable,
    NotSent,
    Outcome,
    Refused,
    Search,
    Unanswered,
)
from kgents_alert_notifier.message import slack
from kgents_alert_notifier.message.facts import Facts
from kgents_alert_notifier.receiver_config import SlackReceiver
from kgents_alert_notifier.receivers.http import Answer, Failure, Http, fingerprint

JSON: Final = "application/json; charset=utf-8"
FORM: Final = "application/x-www-form-urlencoded"
OK: Final = "ok"
SEARCHED_BEFORE_S: Final = 5.0
"""How long before the incident opened the search begins: clocks differ."""
_WORD: Final = re.compile(r"[a-z_]{1,40}\Z")
_LIMITED: Final = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_UNCLEAR: Final = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
"""Errors after which Slack does not say whether the message was posted."""
_GONE: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
"""Errors of an update of a message that is no longer there, or may no longer be changed."""


class Reply(msgspec.Struct):
    """What every method of the Web API answers with, also with the code 200: success is `ok` alone."""

    ok: bool = False
    error: str = ""
    channel: str | dict[str, Any] = ""
    ts: str = ""
    messages: list[dict[str, Any]] = []
    has_more: bool = False


class SlackBot:
    """Posts, updates, replies in the thread."""

    pause_s = SlackReceiver.pause_s

    def __init__(self, config: SlackReceiver, *, has_buttons: bool = False) -> None:
        self._config = config
        self._has_buttons = has_buttons
        self._http = Http()

    async def send(self, facts: Facts, key: str, handle: Mapping[str, str], deadline_s: float) -> Outcome:
        message = slack.message(facts, has_buttons=self._has_buttons)
        if handle.get("ts"):
            updated = await self._call("chat.update", {**handle, **message}, deadline_s / 2)
            if isinstance(updated, Reply):
                return await self._reply(facts, handle, deadline_s / 2)
            if not (isinstance(updated, Refused) and updated.why in _GONE):
                return updated
        posted = await self._call("chat.postMessage", {"channel": self._config.channel, **message}, deadline_s / 2)
        if not isinstance(posted, Reply):
            return posted
        if not (posted.ts and isinstance(posted.channel, str) and posted.channel):
            return InDoubt("an answer without a message")
        return Delivered({"channel": posted.channel, "ts": posted.ts})

    async def _reply(self, facts: Facts, handle: Mapping[str, str], deadline_s: float) -> Outcome:
        if not facts.changes_state:
            return Delivered()
        words = {"channel": handle["channel"], "thread_ts": handle["ts"], **slack.reply(facts)}
        replied = await self._call("chat.postMessage", words, deadline_s)
        return Delivered() if isinstance(replied, Reply) else replied

    async def find(self, facts: Facts, handle: Mapping[str, str], deadline_s: float) -> Search:
        """Its own message of this incident among those since it opened, by metadata."""
        if handle.get("ts"):
            return NotSearchable()  # an update changes the same message, however often it is sent
        oldest = f"{facts.incident.opened_at.timestamp() - SEARCHED_BEFORE_S:.6f}"
        query = {"channel": self._config.channel, "oldest": oldest, "include_all_metadata": "true", "limit": 200}
        found = await self._call("conversations.history", query, deadline_s, is_form=True)
        if not isinstance(found, Reply):
            return NotSearchable() if isinstance(found, Refused) else Unanswered(f"search: {found.why}", found.retry_s)
        for each in found.messages:
            payload = _payload(each)
            if payload.get("incident") == facts.incident.id and isinstance(revision := payload.get("revision"), int):
                return Found({"channel": self._config.channel, "ts": str(each.get("ts", ""))}, revision)
        return NotSearchable() if found.has_more else NotFound()

    async def _call(
        self, method: str, arguments: dict[str, Any], deadline_s: float, *, is_form: bool = False
    ) -> Reply | Failure:
        """Call a method of the Web API; those that read take their arguments as a form."""
        try:
            token = self._config.token.reveal().strip() if self._config.token is not None else ""
        except OSError:
            return NotSent("the token's file cannot be read")
        answer = await self._http.request(
            "POST",
            f"{self._config.url.rstrip('/')}/api/{method}",
            body=urlencode(arguments).encode() if is_form else msgspec.json.encode(arguments),
            headers={"Content-Type": FORM if is_form else JSON, "Authorization": f"Bearer {token}"},
            deadline_s=deadline_s,
        )
        return _read(answer) if isinstance(answer, Answer) else answer

    def secrets(self) -> str:
        return fingerprint(self._config.token)

    async def close(self) -> None:
        await self._http.close()


class SlackWebhook:
    """Posts to an incoming webhook."""

    pause_s = SlackReceiver.pause_s

    def __init__(self, config: SlackReceiver) -> None:
        self._config = config
        self._http = Http()

    async def send(self, facts: Facts, key: str, handle: Mapping[str, str], deadline_s: float) -> Outcome:
        if not facts.changes_state:
            return Delivered(is_requested=False)  # growth changes a bot's message; here it would be another message
        message = slack.message(facts)
        try:
            url = self._config.webhook.reveal().strip() if self._config.webhook is not None else ""
        except OSError:
            return NotSent("the webhook's file cannot be read")
        body = msgspec.json.encode({"text": message["text"], "blocks": message["blocks"]})
        answer = await self._http.request(
            "POST", url, body=body, headers={"Content-Type": "application/json"}, deadline_s=deadline_s
        )
        return _taken(answer) if isinstance(answer, Answer) else answer

    async def find(self, facts: Facts, handle: Mapping[str, str], deadline_s: float) -> Search:
        return NotSearchable()

    def secrets(self) -> str:
        return fingerprint(self._config.webhook)

    async def close(self) -> None:
        await self._http.close()


def _taken(answer: Answer) -> Delivered | Failure:
    """What an incoming webhook's 200 means: Slack says `ok`, other services in its form what they like.

    A page comes from something in between, such as the login of a network, and a word or `"ok": false` is an error.
    """
    text = answer.body.strip()
    if text.startswith(b"<"):
        return NotSent("a page instead of Slack's answer")
    if text.startswith(b"{"):
        return Delivered() if isinstance(failed := _read(answer), Reply) else failed
    word = text.decode(errors="replace")
    return Refused(word) if word != OK and _WORD.match(word) else Delivered()


def _read(answer: Answer) -> Reply | Failure:
    try:
        reply = msgspec.json.decode(answer.body, type=Reply)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return InDoubt("an answer that is not Slack's")
    if reply.ok:
        return reply
    word = reply.error if _WORD.match(reply.error) else "an unknown error"
    if word in _LIMITED:
        return NotSent(word)
    return InDoubt(word) if word in _UNCLEAR else Refused(word)


def _payload(message: dict[str, Any]) -> dict[str, Any]:
    metadata = message.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != slack.EVENT_TYPE:
        return {}
    payload = metadata.get("event_payload")
    return payload if isinstance(payload, dict) else {}


def of(config: SlackReceiver, *, has_buttons: bool) -> SlackBot | SlackWebhook:
    """The bot, if there is a token; only its messages have buttons, since only an app's clicks are reported."""
    return SlackBot(config, has_buttons=has_buttons) if config.token is not None else SlackWebhook(config)
