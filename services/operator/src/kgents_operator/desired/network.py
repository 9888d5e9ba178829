"""Who may connect to which pods. Pure."""

from typing import Any

from kgents_operator.desired.owner import Owner, stamped

Json = dict[str, Any]


def policy(owner: Owner, component: str, selected: dict[str, str], rules: list[Json]) -> Json:
    """The NetworkPolicy of the pods with these labels."""
    name = f"{owner.name}-{component}"
    return owner.owned("networking.k8s.io/v1", "NetworkPolicy", name, component) | {
        "spec": {"podSelector": {"matchLabels": selected}, "policyTypes": ["Ingress"], "ingress": rules}
    }


def shut(document: Json) -> Json:
    """The same policy, which lets nothing in."""
    return stamped(document | {"spec": document["spec"] | {"ingress": []}})


def everywhere(name: str) -> Json:
    """The pods of a program in all namespaces, as who connects."""
    return {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": name}}}


def allowed(port: int) -> Json:
    """A port, as one that is connected to."""
    return {"port": port, "protocol": "TCP"}


def port(name: str, number: int) -> Json:
    """A port of a Service, which is the container's of this name."""
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP"}
