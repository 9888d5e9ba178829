"""The body of a request of Slack or PagerDuty → what someone has decided there. Pure."""

import re
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from kgents_alert_notifier.message.facts import clean, cut
from kgents_alert_notifier.message.pagerduty import RISEN
from kgents_alert_notifier.message.slack import ACK, SILENCE

BY_MAX: Final = 100
"""Characters of a name."""
_KEY: Final = re.compile(rf"([0-9a-f]{{16}})({RISEN})?\Z")
_VALUE: Final = re.compile(r"([0-9a-f]{16})@(\d{1,9})\Z")
_SECONDS: Final = re.compile(r"\d{1,10}(\.\d{1,9})?\Z", re.ASCII)
_DOES: Final = {"incident.acknowledged": ACK, "incident.unacknowledged": "unack", "incident.resolved": ACK}


class Decision(msgspec.Struct, frozen=True):
    """What someone has decided about an incident."""

    does: str
    """`ack`, `unack`, `silence`."""
    incident: str
    by: str
    via: str
    note: str = ""
    revision: int | None = None
    """Which of the incident the person saw; None: the one that the receiver was sent."""
    is_former: bool = False
    """Whether the person saw it before it became critical, if it did."""
    at: datetime | None = None
    """When, by the vendor's clock; None: just now."""


class _Named(msgspec.Struct):
    id: str = ""
    name: str = ""
    username: str = ""
    summary: str = ""
    type: str = ""


class _Action(msgspec.Struct):
    action_id: str = ""
    value: str = ""
    action_ts: str = ""
    """When it was clicked, in Unix seconds."""


class _Interaction(msgspec.Struct):
    type: str = ""
    user: _Named = msgspec.field(default_factory=_Named)
    actions: list[_Action] = []


class _Data(msgspec.Struct):
    incident_key: str | None = ""


class _Event(msgspec.Struct):
    event_type: str = ""
    occurred_at: datetime | None = None
    agent: _Named | None = None
    data: _Data = msgspec.field(default_factory=_Data)


class _Webhook(msgspec.Struct):
    event: _Event


def of_slack(body: bytes) -> list[Decision]:
    """What was clicked; empty for anything else that Slack sends."""
    try:
        form = parse_qs(body.decode(), max_num_fields=10)
        found = msgspec.json.decode(form.get("payload", [""])[0], type=_Interaction)
    except (ValueError, msgspec.MsgspecError):
        return []
    if found.type != "block_actions":
        return []
    by = _named(found.user.username or found.user.name or found.user.id)
    clicked = ((each, _VALUE.match(each.value)) for each in found.actions)
    return [
        Decision(each.action_id, value[1], by, "slack", revision=int(value[2]), at=_clicked(each.action_ts))
        for each, value in clicked
        if each.action_id in (ACK, SILENCE) and value is not None
    ]


def of_pagerduty(body: bytes) -> list[Decision]:
    """What a person did there with an incident of ours. What our own events caused is none: no person did it.

    An incident that a person resolves there still fires here: it is acknowledged, so no one is reminded of it.
    """
    try:
        event = msgspec.json.decode(body, type=_Webhook).event
    except (ValueError, msgspec.MsgspecError):
        return []
    does, key = _DOES.get(event.event_type, ""), _KEY.match(event.data.incident_key or "")
    is_person = event.agent is not None and event.agent.type == "user_reference"
    if not does or key is None or not (is_person or does == "unack"):  # an acknowledgement may time out
        return []
    by = _named(event.agent.summary or event.agent.id) if event.agent is not None else "PagerDuty"
    note = "resolved in PagerDuty" if event.event_type == "incident.resolved" else ""
    at = _known(event.occurred_at)
    return [Decision(does, key[1], by, "pagerduty", note=note, is_former=not key[2], at=at)]


def _named(text: Any) -> str:
    return cut(clean(text), BY_MAX) or "unknown"


def _clicked(text: str) -> datetime | None:
    """The time of a click; None if there is none that can be read."""
    return datetime.fromtimestamp(float(text), UTC) if _SECONDS.match(text) else None


def _known(at: datetime | None) -> datetime | None:
    """A time with a zone."""
    return at if at is not None and at.tzinfo is not None else None
