"""The least rights: the watched kinds → a ClusterRole, or a Role for each namespace.

`python -m kgents_collector_k8s.rights` prints what the default configuration needs, for `kubectl apply -f -`.
"""

import sys
from collections import defaultdict
from typing import Any, Final

import yaml

from kgents_collector_k8s.config import Config

VERBS: Final = ["list", "watch"]
NAME: Final = "kgents-collector-k8s"


def role(config: Config) -> dict[str, Any]:
    """The role that this configuration needs, and no more. Secrets and ConfigMaps are in none."""
    by_group: defaultdict[str, list[str]] = defaultdict(list)
    for kind in config.kinds:
        by_group[kind.group].append(kind.resource)
    if config.events:
        by_group["events.k8s.io"].append("events")
    rules = [_rule(group, sorted(set(names)), VERBS) for group, names in sorted(by_group.items())]
    usage = ["pods"] if config.namespaces else ["nodes", "pods"]
    rules.append(_rule("metrics.k8s.io", usage, ["list"]))
    if not config.namespaces:  # whose uid identifies a cluster
        rules.append(_rule("", ["namespaces"], ["get"]) | {"resourceNames": ["kube-system"]})
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role" if config.namespaces else "ClusterRole",
        "metadata": {"name": NAME},
        "rules": rules,
    }


def _rule(group: str, resources: list[str], verbs: list[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}


if __name__ == "__main__":
    yaml.safe_dump(role(Config()), sys.stdout, sort_keys=False)
