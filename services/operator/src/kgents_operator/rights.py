"""The least rights: what the operator reads and applies → a ClusterRole, or a Role for each namespace.

`python -m kgents_operator.rights` prints what the default configuration needs, for `kubectl apply -f -`, and with
`--disruptions` what Disruptions need besides.
"""

import sys
from typing import Any, Final

import yaml

from kgents_operator.config import Config
from kgents_operator.kinds import CHILDREN, DISRUPTION_API, EVENTS, JOBS, JOURNAL, LEASES, PODS, RESOURCES, SECRETS, Api

NAME: Final = "kgents-operator"


def roles(config: Config) -> list[dict[str, Any]]:
    """What this configuration needs: a role for where it works, and one for the Leases and what waits beside them."""
    rules = [_rule(each) for each in (*RESOURCES, *CHILDREN, SECRETS, EVENTS)]
    rules += [_status(each) for each in RESOURCES]
    rules += disruption_rules() if config.disruptions else []
    kind = "Role" if config.namespaces else "ClusterRole"
    places = [{"namespace": each} for each in config.namespaces] or [{}]
    return [_role(kind, {"name": NAME, **place}, rules) for place in places] + [
        _role("Role", {"name": f"{NAME}-lease", "namespace": config.lease_namespace}, [_rule(LEASES), _rule(JOURNAL)])
    ]


def disruption_rules() -> list[dict[str, Any]]:
    """What Disruptions need besides."""
    return [_rule(DISRUPTION_API), _status(DISRUPTION_API), _rule(PODS), _rule(JOBS)]


def _role(kind: str, metadata: dict[str, str], rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules}


def _rule(api: Api) -> dict[str, Any]:
    return {"apiGroups": [api.group], "resources": [api.resource], "verbs": list(api.verbs)}


def _status(api: Api) -> dict[str, Any]:
    return _rule(api) | {"resources": [f"{api.resource}/status"], "verbs": ["patch"]}


if __name__ == "__main__":
    # The Role for the Lease is in the chart, since it is that of the namespace which the operator runs in.
    role = roles(Config())[0]
    if "--disruptions" in sys.argv:
        role = _role("ClusterRole", {"name": f"{NAME}-disruptions"}, disruption_rules())
    yaml.safe_dump(role, sys.stdout, sort_keys=False)
