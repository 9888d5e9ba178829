"""What Slack and PagerDuty accept, as JSON Schema and code, each rule with where it is known from.

Stand-ins for them check every request: a message that the vendor would refuse fails its test here.
"""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import jsonschema

from support.http_stand_in import Got, Reply

PLAIN = {
    "type": "object",
    "properties": {
        "type": {"const": "plain_text"},
        "text": {"type": "string", "minLength": 1},
        "emoji": {"type": "boolean"},
    },
    "required": ["type", "text"],
    "additionalProperties": False,
}
MARKDOWN = {
    "type": "object",
    "properties": {"type": {"const": "mrkdwn"}, "text": {"type": "string", "minLength": 1}},
    "required": ["type", "text"],
    "additionalProperties": False,
}


def limited(text: dict[str, Any], chars: int) -> dict[str, Any]:
    properties = text["properties"]
    return {**text, "properties": {**properties, "text": {**properties["text"], "maxLength": chars}}}


def block(kind: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"type": {"const": kind}, **properties},
        "required": ["type", *properties],
        "additionalProperties": False,
    }


SLACK_MESSAGE = {
    # Slack, reference of Block Kit: header 150 characters, section 3,000, context 10 elements, 50 blocks.
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 40_000},  # chat.postMessage, "Truncating content"
        "blocks": {
            "type": "array",
            "maxItems": 50,
            "items": {
                "oneOf": [
                    block("header", text=limited(PLAIN, 150)),
                    block("section", text={"oneOf": [limited(PLAIN, 3_000), limited(MARKDOWN, 3_000)]}),
                    block(  # actions: 25 elements; button: text of 75, action_id of 255, value of 2,000 characters
                        "actions",
                        elements={
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 25,
                            "items": block(
                                "button",
                                text=limited(PLAIN, 75),
                                action_id={"type": "string", "minLength": 1, "maxLength": 255},
                                value={"type": "string", "minLength": 1, "maxLength": 2_000},
                            ),
                        },
                    ),
                    block("context", elements={"type": "array", "minItems": 1, "maxItems": 10, "items": PLAIN}),
                ]
            },
        },
        "channel": {"type": "string", "minLength": 1},
        "ts": {"type": "string", "pattern": r"^\d+\.\d+$"},  # a float loses digits
        "thread_ts": {"type": "string", "pattern": r"^\d+\.\d+$"},
        "metadata": {
            "type": "object",
            "properties": {"event_type": {"type": "string"}, "event_payload": {"type": "object"}},
            "required": ["event_type", "event_payload"],
        },
    },
    "required": ["text"],
    "additionalProperties": False,
}
SLACK_SUM_MAX = 13_000
"""slackapi/bolt-js#2509: `msg_blocks_too_long`, though no block is."""

PAGERDUTY_EVENT = {
    # PagerDuty developer documentation, Events API v2: fields and their limits.
    "type": "object",
    "properties": {
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
        "payload": {
            "type": "object",
            "properties": {
                "summary": {"type": "string", "minLength": 1, "maxLength": 1_024},
                "source": {"type": "string", "minLength": 1},
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": {"type": "string", "format": "date-time"},
                "component": {"type": "string"},
                "group": {"type": "string"},
                "class": {"type": "string"},
                "custom_details": {"type": "object"},
            },
            "required": ["summary", "source", "severity"],
            "additionalProperties": False,
        },
        "client": {"type": "string"},
        "client_url": {"type": "string"},
        "links": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"href": {"type": "string"}, "text": {"type": "string"}},
                "required": ["href"],
            },
        },
    },
    "required": ["routing_key", "event_action"],
    "additionalProperties": False,
    "if": {"properties": {"event_action": {"const": "trigger"}}},
    "then": {"required": ["payload"]},
    "else": {"required": ["dedup_key"]},
}
PAGERDUTY_MAX_BYTES = 512 * 1024


def chars_of(blocks: list[dict[str, Any]]) -> int:
    parts = (part for each in blocks for part in (each.get("elements") or [each["text"]]))
    texts = (each["text"] for each in parts)
    return sum(len(each if isinstance(each, str) else each["text"]) for each in texts)


def check_slack(message: dict[str, Any]) -> None:
    jsonschema.validate(message, SLACK_MESSAGE)
    assert chars_of(message.get("blocks", [])) <= SLACK_SUM_MAX
    assert "<!" not in message["text"], "a mention of everyone"


@dataclass
class Slack:
    """A workspace: `rules` for a bot's API, `webhook_rules` for an incoming webhook."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    """Of the channel, replies too."""
    updates: int = 0
    token: str = "xoxb-canary-token"

    def webhook_rules(self, got: Got) -> Reply:
        message = json.loads(got.body)
        check_slack(message)
        self.messages.append(message)
        return Reply(body=b"ok")

    def rules(self, got: Got) -> Reply:
        if got.headers.get("authorization") != f"Bearer {self.token}":
            return answer(ok=False, error="invalid_auth")
        method = got.path.removeprefix("/api/")
        if method == "conversations.history":
            return self._history({name: values[0] for name, values in parse_qs(got.body.decode()).items()})
        arguments = json.loads(got.body)
        check_slack(arguments)
        return self._post(arguments) if method == "chat.postMessage" else self._update(arguments)

    def _post(self, arguments: dict[str, Any]) -> Reply:
        ts = f"1795954000.{len(self.messages):06d}"
        self.messages.append({**arguments, "ts": ts})
        return answer(ok=True, channel="C0123ABCD", ts=ts)  # an id, though a name was given

    def _update(self, arguments: dict[str, Any]) -> Reply:
        if arguments["channel"] != "C0123ABCD":  # chat.update takes an id alone
            return answer(ok=False, error="channel_not_found")
        if "blocks" not in arguments:  # an update without blocks removes them
            return answer(ok=False, error="no_text")
        for each in self.messages:
            if each["ts"] == arguments["ts"]:
                each.update(arguments)
                self.updates += 1
                return answer(ok=True, channel="C0123ABCD", ts=each["ts"])
        return answer(ok=False, error="message_not_found")

    def _history(self, query: dict[str, str]) -> Reply:
        if query["channel"] != "C0123ABCD":
            return answer(ok=False, error="channel_not_found")
        shows = query.get("include_all_metadata") == "true"
        found = [
            each if shows else {name: value for name, value in each.items() if name != "metadata"}
            for each in self.messages
            if "thread_ts" not in each and float(each["ts"]) >= float(query["oldest"])
        ]
        return answer(ok=True, messages=found[::-1], has_more=False)

    @property
    def parents(self) -> list[dict[str, Any]]:
        return [each for each in self.messages if "thread_ts" not in each]

    @property
    def replies(self) -> list[dict[str, Any]]:
        return [each for each in self.messages if "thread_ts" in each]


@dataclass
class PagerDutyService:
    """A service: its key recognises an incident only while that is open (documentation, "Trigger events")."""

    opened: list[str] = field(default_factory=list)
    open_keys: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    routing_keys: set[str] = field(default_factory=lambda: {"k" * 32})

    def rules(self, got: Got) -> Reply:
        assert got.path == "/v2/enqueue"
        assert len(got.body) <= PAGERDUTY_MAX_BYTES
        event = json.loads(got.body)
        jsonschema.validate(event, PAGERDUTY_EVENT)
        if event["routing_key"] not in self.routing_keys:
            return Reply(400, b'{"status":"invalid event"}')
        self.events.append(event)
        key = event["dedup_key"]
        if event["event_action"] == "trigger" and key not in self.open_keys:
            self.opened.append(key)
            self.open_keys.add(key)
        if event["event_action"] == "acknowledge" and key in self.open_keys:
            self.acknowledged.add(key)
        if event["event_action"] == "resolve":
            self.open_keys.discard(key)
        return Reply(202, json.dumps({"status": "success", "dedup_key": key}).encode())


def answer(**members: Any) -> Reply:
    """Slack answers 200 whatever is wrong, and says it in `ok`."""
    return Reply(200, json.dumps(members).encode())
