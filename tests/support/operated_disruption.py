"""A Disruption as a person writes it, and a cluster with such resources."""

from typing import Any

from support.operated import NAMESPACE, Json, Site


def disruption(name: str = "drill", **spec: Any) -> Json:
    """A resource as a person writes it."""
    target = {"kind": "RedisCluster", "name": "cache", "component": "replicas"}
    return {
        "apiVersion": "kgents.io/v1alpha1",
        "kind": "Disruption",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"target": target, "action": "DeletePod", "reason": "to see the alert"} | spec,
    }


class DisruptionSite(Site):
    """A cluster whose resource is the Disruption `drill`."""

    plural = "disruptions"
    default = "drill"
    written = staticmethod(disruption)
