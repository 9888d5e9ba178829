"""A RedisCluster as a person writes it, and a cluster with such resources."""

from typing import Any

from kgents_operator.desired.outcome import STATEFULSET, Observed
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.redis import desired
from kgents_operator.images import Images
from kgents_operator.resources.redis import Spec
from support.operated import NAMESPACE, Json, Site


def redis(name: str = "cache", **spec: Any) -> Json:
    """A resource as a person writes it."""
    return {
        "apiVersion": "kgents.io/v1alpha1",
        "kind": "RedisCluster",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


def begun(owner: Owner, spec: Spec) -> Observed:
    """The primary answers already, so that replicas are made."""
    wanted = desired(owner, spec, {}, Observed(), Images())
    (primary,) = (each for each in wanted.objects if each["kind"] == STATEFULSET)
    up = {"observedGeneration": 1, "readyReplicas": 1}
    running = primary | {"metadata": primary["metadata"] | {"generation": 1}, "status": up}
    return Observed({(STATEFULSET, owner.name): running})


class RedisSite(Site):
    """A cluster whose resource is the RedisCluster `cache`."""

    plural = "redisclusters"
    default = "cache"
    written = staticmethod(redis)
