"""Who may connect to which pods. Pure."""

from typing import Any, Final

import msgspec

from kgents_operator.desired.owner import COMPONENT, Owner, stamped

Json = dict[str, Any]

API_VERSION: Final = "networking.k8s.io/v1"
LET_IN: Final = "kgents.io/let-in"
"""The annotation of a policy that is shut, with the rules that it had: by it alone a cut can be ended."""


def policy(owner: Owner, component: str, selected: dict[str, str], rules: list[Json]) -> Json:
    """The NetworkPolicy of the pods with these labels."""
    name = f"{owner.name}-{component}"
    return owner.owned(API_VERSION, "NetworkPolicy", name, component) | {
        "spec": {"podSelector": {"matchLabels": selected}, "policyTypes": ["Ingress"], "ingress": rules}
    }


def shut(document: Json, timer: Json) -> Json:
    """The same policy, which lets nothing in, says what it let in, and goes with what ends the cut."""
    metadata, let_in = document["metadata"], msgspec.json.encode(document["spec"]["ingress"]).decode()
    metadata = metadata | {
        "annotations": metadata.get("annotations", {}) | {LET_IN: let_in},
        "ownerReferences": [timer],
    }
    return stamped(document | {"metadata": metadata, "spec": document["spec"] | {"ingress": []}})


def opened(owner: Owner, current: Json) -> Json | None:
    """The policy as it was before it was shut, by itself alone; None: it is not shut, or not by us."""
    metadata = current["metadata"]
    try:
        let_in = msgspec.json.decode((metadata.get("annotations") or {}).get(LET_IN, ""), type=list[Json])
    except msgspec.DecodeError:
        return None
    found = owner.owned(API_VERSION, "NetworkPolicy", metadata["name"], metadata["labels"][COMPONENT])
    return stamped(found | {"spec": current["spec"] | {"ingress": let_in}})


def everywhere(name: str) -> Json:
    """The pods of a program in all namespaces, as who connects."""
    return {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": name}}}


def allowed(port: int) -> Json:
    """A port, as one that is connected to."""
    return {"port": port, "protocol": "TCP"}


def port(name: str, number: int) -> Json:
    """A port of a Service, which is the container's of this name."""
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP"}
