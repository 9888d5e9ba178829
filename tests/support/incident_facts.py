"""Incidents and facts for tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from kgents_alert_notifier.message.facts import Facts, Links
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Acknowledged, Affected, Incident, IncidentReason, Root

BEGAN = datetime(2026, 11, 29, 12, 2, 3, tzinfo=UTC)
POD = Ref("test", "pod", "cart-7f", "shop")
DEPLOYMENT = Ref("test", "deployment", "cart", "shop")


def incident(number: int = 1, **changes: Any) -> Incident:
    """One that is open: `incident(revision=3, state="resolved")`."""
    minutes = timedelta(minutes=12)
    found: dict[str, Any] = {
        "text": "pod shop/cart-7f restarts again and again; 2 entities are affected",
        "title": "pod shop/cart-7f restarts again and again",
        "cluster": "test",
        "id": f"{number:016x}",
        "state": "open",
        "severity": "critical",
        "root": Root(ref=POD, check="KG-001", why="its container ran out of memory 4 times"),
        "started_at": BEGAN,
        "opened_at": BEGAN + timedelta(seconds=30),
        "changed_at": BEGAN + minutes,
        "affected": [
            Affected(ref=POD, severity="critical", checks=["KG-001"]),
            Affected(ref=DEPLOYMENT, severity="warning", checks=["KG-010"]),
        ],
        "affected_count": 2,
        "affected_by_kind": {"pod": 1, "deployment": 1},
        "reasons": [
            IncidentReason(
                text="container cart was killed: out of memory (4 times in 10 min)",
                ref=POD,
                check="KG-001",
                evidence="KGENTS_TOPOLOGY:4711",
            ),
            IncidentReason(text="deployment shop/cart has 0/2 replicas ready", ref=DEPLOYMENT, check="KG-010"),
        ],
        "labels": {"app.kubernetes.io/name": "cart"},
    }
    found |= changes
    if found["state"] == "resolved":
        found.setdefault("ended_at", found["changed_at"])
    return Incident(**found)


LINKS = Links("https://kgents.example", "https://wiki.example/runbook/{check}.md")


def facts(of: Incident | None = None, **changes: Any) -> Facts:
    return Facts(incident=of or incident(), **{"links": LINKS, **changes})


def acknowledged(**changes: Any) -> Incident:
    who = Acknowledged(by="ada", at=BEGAN + timedelta(minutes=3), via="cli", note="looking into it")
    return incident(state="acknowledged", acknowledged=who, **{"revision": 2, **changes})


def resolved(**changes: Any) -> Incident:
    return incident(state="resolved", **{"revision": 3, **changes})
