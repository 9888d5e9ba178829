"""Facts → an alert of Prometheus Alertmanager's API v2. Pure.

Its identity there is the set of its labels, so they are made of what an incident never changes; the severity is the
one exception, and an alert with the severity of before is ended in the same request. `startsAt` is always sent: without
it an alert would begin when it ends.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from kgents_alert_notifier.message.facts import Facts, clean
from kgents_alert_notifier.message.text import lines

WATCHDOG: Final = "KgentsWatchdog"
SEVERITIES: Final = ("critical", "warning")
_ILLEGAL: Final = re.compile(r"[^a-zA-Z0-9_]")


def alerts(facts: Facts, *, now: datetime, hold_s: float) -> Iterator[dict[str, Any]]:
    """The alert, and the end of those with another severity."""
    incident = facts.incident
    for severity in SEVERITIES:
        is_current = severity == incident.severity
        if not is_current and not _was_open(facts):
            continue
        if is_current and not facts.is_over:
            ends = now + timedelta(seconds=hold_s)
        else:
            ends = max(incident.ended_at or incident.changed_at, incident.started_at)
        yield {
            "labels": labels(facts, severity),
            "annotations": {**_annotations(facts), **_names(facts)},
            "startsAt": _time(incident.started_at),
            "endsAt": _time(ends),
            **({"generatorURL": facts.link} if facts.link else {}),
        }


def _annotations(facts: Facts) -> dict[str, str]:
    """As the rules of others name them."""
    found = {"summary": facts.headline, "description": "\n".join(lines(facts)), "runbook_url": facts.runbook}
    return {name: value for name, value in found.items() if value}


def watchdog(cluster: str, *, since: datetime, now: datetime, lasts_s: float, backlog_s: float) -> dict[str, Any]:
    """The alert that always fires. It ends by itself: `lasts_s` after it was sent last."""
    summary = f"kgents can deliver the alerts of {cluster}; that this fires is what is normal"
    oldest = f"The oldest notification that waits has waited for {backlog_s:.0f} s." if backlog_s else ""
    return {
        "labels": {"alertname": WATCHDOG, "cluster": clean(cluster), "severity": "none"},
        "annotations": {"summary": summary, "description": oldest or "No notification waits."},
        "startsAt": _time(since),
        "endsAt": _time(now + timedelta(seconds=lasts_s)),
    }


def _was_open(facts: Facts) -> bool:
    """Whether an alert with the other severity may be open there: an end of one that never was would be notified."""
    rose_at = facts.incident.severity_revision
    return facts.known_revision < rose_at and (not facts.is_opening or facts.may_repeat)


def labels(facts: Facts, severity: str) -> dict[str, str]:
    """What identifies it."""
    incident, ref = facts.incident, facts.incident.root.ref
    found = {
        "alertname": incident.root.check,
        "cluster": incident.cluster,
        "kgents_incident": incident.id,
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "severity": severity,
    }
    return {name: clean(value) for name, value in found.items() if value}


def label_name(name: str) -> str:
    """A legal name for a label: `k8s.pod` → `k8s_pod`."""
    legal = _ILLEGAL.sub("_", name)
    return f"_{legal}" if legal[:1].isdigit() or not legal else legal


def _names(facts: Facts) -> dict[str, str]:
    """The labels of the root, as annotations: they may change, and would make another alert of it."""
    return {f"label_{label_name(name)}": f"{name}={clean(value)}" for name, value in facts.incident.labels.items()}


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
