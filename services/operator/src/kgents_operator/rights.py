"""The least rights: what the operator reads and applies → a ClusterRole, or a Role for each namespace.

`python -m kgents_operator.rights` prints what the default configuration needs, for `kubectl apply -f -`.
"""

import sys
from typing import Any, Final

import yaml

from kgents_operator.config import Config
from kgents_operator.kinds import CHILDREN, EVENTS, LEASES, RESOURCES, SECRETS, Api

NAME: Final = "kgents-operator"


def roles(config: Config) -> list[dict[str, Any]]:
    """What this configuration needs: a role for where it works, and one for the Lease."""
    rules = [_rule(each) for each in (*RESOURCES, *CHILDREN, SECRETS, EVENTS)]
    rules += [_rule(each) | {"resources": [f"{each.resource}/status"], "verbs": ["patch"]} for each in RESOURCES]
    kind = "Role" if config.namespaces else "ClusterRole"
    places = [{"namespace": each} for each in config.namespaces] or [{}]
    return [_role(kind, {"name": NAME, **place}, rules) for place in places] + [
        _role("Role", {"name": f"{NAME}-lease", "namespace": config.lease_namespace}, [_rule(LEASES)])
    ]


def _role(kind: str, metadata: dict[str, str], rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules}


def _rule(api: Api) -> dict[str, Any]:
    return {"apiGroups": [api.group], "resources": [api.resource], "verbs": list(api.verbs)}


if __name__ == "__main__":
    # The Role for the Lease is in the chart, since it is that of the namespace which the operator runs in.
    yaml.safe_dump(roles(Config())[0], sys.stdout, sort_keys=False)
