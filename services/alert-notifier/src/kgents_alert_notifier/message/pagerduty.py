"""Facts → an event of PagerDuty's Events API v2. Pure.

The key recognises an event only while its incident is open there: a trigger after a person resolved it opens another
one and pages again. So only an opening and a rise of the severity are triggers; mere growth is not sent.

A trigger does not page while its incident is acknowledged there. What has become critical has to, so a rise opens an
incident of its own, and then resolves the former one: there is one at a time, and at no moment none.
"""

from typing import Any, Final

from kgents_alert_notifier.message.facts import ACKNOWLEDGED, Facts, cut
from kgents_alert_notifier.message.text import lines
from kgents_shared.contract.incident import Incident

SUMMARY_MAX: Final = 1_024
DETAIL_MAX: Final = 8_000
RISEN: Final = "-critical"
"""Ends the key of an incident that became critical."""


def actions(facts: Facts) -> list[tuple[str, str]]:
    """`trigger`, `acknowledge` or `resolve`, each with the key of its incident there, in their order.

    None if it has no need to know. They follow from what it has confirmed, so what is in doubt is sent again.
    """
    incident = facts.incident
    key, former = key_of(incident), incident.id
    if facts.is_over:
        return [("resolve", each) for each in dict.fromkeys([key, former])]
    is_worse = facts.is_opening or incident.severity_revision > facts.known_revision
    is_taken = incident.state == ACKNOWLEDGED and (is_worse or facts.known_state != ACKNOWLEDGED)
    has_former = key != former and (not facts.is_opening or facts.may_repeat)
    return [
        *([("trigger", key)] if is_worse else []),
        *([("resolve", former)] if is_worse and has_former else []),
        *([("acknowledge", key)] if is_taken else []),
    ]


def key_of(incident: Incident) -> str:
    """By which PagerDuty recognises it: of one that rose to critical another one than before."""
    return f"{incident.id}{RISEN}" if incident.severity_revision > 1 else incident.id


def event(facts: Facts, doing: str, *, key: str, routing_key: str) -> dict[str, Any]:
    """The body of the request."""
    found: dict[str, Any] = {"routing_key": routing_key, "event_action": doing, "dedup_key": key}
    if doing != "trigger":
        return found
    incident, root = facts.incident, facts.incident.root
    found["client"] = "kgents"
    found["payload"] = {
        "summary": cut(facts.headline, SUMMARY_MAX),
        "source": cut(str(root.ref), SUMMARY_MAX),
        "severity": incident.severity if incident.severity in ("critical", "warning") else "error",
        "timestamp": incident.started_at.isoformat(),
        "component": cut(root.ref.name, SUMMARY_MAX),
        "group": cut(root.ref.namespace or incident.cluster, SUMMARY_MAX),
        "class": root.check,
        "custom_details": {"incident": incident.id, "message": cut("\n".join(lines(facts)), DETAIL_MAX)},
    }
    leading = ((facts.link, "Open in the web view"), (facts.runbook, f"Runbook of {root.check}"))
    if links := [{"href": href, "text": text} for href, text in leading if href]:
        found["links"] = links
    return found
