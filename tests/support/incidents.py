"""Incidents as the service publishes them."""

from typing import Any

from kgents_shared.contract.incident import Incident, Root
from support.build import NOW, make_ref


def make_incident(name: str = "cart", *, kind: str = "deployment", state: str = "open", **fields: Any) -> Incident:
    ref = fields.pop("ref", None) or make_ref(name, kind=kind)
    root = Root(ref=ref, check="KG-041", why="no other alert explains it")
    found = {
        "text": f"{state}: {ref} is down", "title": f"{ref} is down", "cluster": ref.cluster, "id": "5c0ffee5a17c0de5",
        "state": state, "severity": "critical", "root": root, "started_at": NOW, "opened_at": NOW, "changed_at": NOW,
    }  # fmt: skip
    return Incident(**{**found, **fields})
