"""Requests as Slack and PagerDuty send them, after the examples that they publish, and their signatures."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

# Slack, "Verifying requests from Slack": its worked example.
SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SLACK_AT = 1_531_420_618
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SLACK_SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"

# PagerDuty, go-pagerduty, webhookv3: the secret, event and signature of its tests; the event is that of the overview.
PAGERDUTY_SECRET = "lDQHScfUeXUKaQRNF+8XIiDKZ7XX3itBAYzwU0TARw8lJqRnkKl2iB1anSb0Z+IK"
PAGERDUTY_SIGNATURE = "v1=0c0b9495b893a39e70d1fea2fe11fbe0a825f88b9f67846f6cc07dd2bc5476cd"
REFERENCES = {
    "service": ("services", "PF9KMXH", "API Service", "service_reference"),
    "assignees": ("users", "PTUXL6G", "User 123", "user_reference"),
    "escalation_policy": ("escalation_policies", "PUS0KTE", "Default", "escalation_policy_reference"),
    "teams": ("teams", "PFCVPS0", "Engineering", "team_reference"),
}


def reference(kind: str, id_: str, summary: str, type_: str) -> dict[str, str]:
    return {
        "html_url": f"https://acme.pagerduty.com/{kind}/{id_}",
        "id": id_,
        "self": f"https://api.pagerduty.com/{kind}/{id_}",
        "summary": summary,
        "type": type_,
    }


def published_event() -> dict[str, Any]:
    incident = reference("incidents", "PGR0VU2", "", "incident")
    priority = reference("priorities", "PSO75BM", "P1", "priority_reference")
    found = {name: reference(*each) for name, each in REFERENCES.items()}
    return {
        "event": {
            "id": "01BWDWL3NYY7LUFPZCC28QUCMK",
            "event_type": "incident.priority_updated",
            "resource_type": "incident",
            "occurred_at": "2021-04-26T17:36:27.458Z",
            "agent": reference("users", "PLH1HKV", "Tenex Engineer", "user_reference"),
            "client": None,
            "data": {
                "id": "PGR0VU2",
                "type": "incident",
                "self": incident["self"],
                "html_url": incident["html_url"],
                "number": 2,
                "status": "triggered",
                "title": "A little bump in the road",
                "service": found["service"],
                "assignees": [found["assignees"]],
                "escalation_policy": found["escalation_policy"],
                "teams": [found["teams"]],
                "priority": priority | {"html_url": "https://acme.pagerduty.com/account/incident_priorities"},
                "urgency": "high",
                "conference_bridge": {"conference_number": 1000, "conference_url": "https://example.com"},
                "resolve_reason": None,
            },
        }
    }


PAGERDUTY_BODY = json.dumps(published_event(), separators=(",", ":")).encode()
NOW = datetime.fromtimestamp(SLACK_AT, UTC)


def interaction(**fields: Any) -> bytes:
    # Slack, reference of block_actions: what of it is read.
    payload = {
        "type": "block_actions",
        "user": {"id": "U0CA5", "username": "ada", "name": "ada.l", "team_id": "T9TK3CUKW"},
        "api_app_id": "A0CA5",
        "token": "deprecated",
        "container": {"type": "message", "message_ts": "1548261231.000200", "channel_id": "CBR2V3XEX"},
        "trigger_id": "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3",
        "channel": {"id": "CBR2V3XEX", "name": "ops"},
        "response_url": "https://hooks.slack.com/actions/AABA1ABCD/1232321423432/D09sSasdasdAS9091209",
        "actions": [action("ack", "5c0ffee5a17c0de5@2")],
        **fields,
    }
    return urlencode({"payload": json.dumps(payload)}).encode()


def action(action_id: str, value: str, *, at: datetime | None = None) -> dict[str, Any]:
    text = {"type": "plain_text", "text": "View", "emoji": True}
    return {
        "action_id": action_id,
        "block_id": "=qXel",
        "text": text,
        "value": value,
        "type": "button",
        "action_ts": f"{(at or datetime.now(UTC)).timestamp():.6f}",
    }


def event(event_type: str, *, key: str = "5c0ffee5a17c0de5", **fields: Any) -> bytes:
    found = published_event()
    found["event"] |= {"event_type": event_type, **fields}
    found["event"]["data"]["incident_key"] = key
    return json.dumps(found).encode()


def signed_as_slack(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    signature = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={signature}"}


def signed_as_pagerduty(body: bytes, secret: str) -> dict[str, str]:
    return {"X-PagerDuty-Signature": f"v1={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"}
