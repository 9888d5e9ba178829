"""Facts → an event of PagerDuty's Events API v2. Pure.

The key recognises an event only while its incident is open there: a trigger after a person resolved it opens another
one and pages again. So only an opening and a rise of the severity are triggers; mere growth is not sent.
"""

from typing import Any, Final

from kgents_alert_notifier.message.facts import ACKNOWLEDGED, Facts, cut
from kgents_alert_notifier.message.text import lines

SUMMARY_MAX: Final = 1_024
DETAIL_MAX: Final = 8_000
KEY_MAX: Final = 255


def actions(facts: Facts) -> list[str]:
    """`trigger`, `acknowledge`, `resolve`, in their order; none if it has no need to know.

    They follow from what it has confirmed, so what is in doubt is sent again.
    """
    if facts.is_over:
        return ["resolve"]
    is_worse = facts.is_opening or facts.incident.severity_revision > facts.known_revision
    is_taken = facts.incident.state == ACKNOWLEDGED and (is_worse or facts.known_state != ACKNOWLEDGED)
    return [*(["trigger"] if is_worse else []), *(["acknowledge"] if is_taken else [])]


def event(facts: Facts, doing: str, *, key: str, routing_key: str) -> dict[str, Any]:
    """The body of the request."""
    found: dict[str, Any] = {"routing_key": routing_key, "event_action": doing, "dedup_key": key[:KEY_MAX]}
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
