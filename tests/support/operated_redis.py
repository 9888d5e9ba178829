"""A RedisCluster as a person writes it, and a cluster with such resources."""

from typing import Any

from support.operated import NAMESPACE, Json, Site


def redis(name: str = "cache", **spec: Any) -> Json:
    """A resource as a person writes it."""
    return {
        "apiVersion": "kgents.io/v1alpha1",
        "kind": "RedisCluster",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


class RedisSite(Site):
    """A cluster whose resource is the RedisCluster `cache`."""

    plural = "redisclusters"
    default = "cache"
    written = staticmethod(redis)
