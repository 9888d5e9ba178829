"""Who may connect to which pods. Pure."""

from typing import Any, Final

import msgspec

from kgents_operator.desired.owner import Owner, stamped

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


def shut(document: Json) -> Json:
    """The same policy, which lets nothing in, and says what it let in."""
    metadata, let_in = document["metadata"], msgspec.json.encode(document["spec"]["ingress"]).decode()
    annotations = metadata.get("annotations", {}) | {LET_IN: let_in}
    spec = document["spec"] | {"ingress": []}
    return stamped(document | {"metadata": metadata | {"annotations": annotations}, "spec": spec})


def opened(current: Json) -> Json | None:
    """The policy as it was before it was shut, by itself alone; None: it is not shut."""
    metadata = current["metadata"]
    let_in = (metadata.get("annotations") or {}).get(LET_IN)
    if let_in is None:
        return None
    kept = {key: metadata[key] for key in ("name", "namespace", "labels", "ownerReferences") if key in metadata}
    spec = current["spec"] | {"ingress": msgspec.json.decode(let_in)}
    return stamped({"apiVersion": API_VERSION, "kind": "NetworkPolicy", "metadata": kept, "spec": spec})


def everywhere(name: str) -> Json:
    """The pods of a program in all namespaces, as who connects."""
    return {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": name}}}


def allowed(port: int) -> Json:
    """A port, as one that is connected to."""
    return {"port": port, "protocol": "TCP"}


def port(name: str, number: int) -> Json:
    """A port of a Service, which is the container's of this name."""
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP"}
