"""A RedisCluster as a person writes it, and a cluster with such resources."""

from typing import Any

from support.operated import NAMESPACE, Json, Site

PATH = f"/apis/kgents.io/v1alpha1/namespaces/{NAMESPACE}/redisclusters"


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

    async def create(self, name: str = "cache", **spec: Any) -> Json:
        return await self.client.do("POST", PATH, redis(name, **spec))

    async def change(self, patch: Json, name: str = "cache") -> Json:
        return await self.client.do("PATCH", f"{PATH}/{name}", patch)

    async def delete(self, name: str = "cache") -> None:
        await self.client.do("DELETE", f"{PATH}/{name}")

    def resource(self, name: str = "cache") -> Json:
        return self.api.get("redisclusters.kgents.io", NAMESPACE, name)

    def status(self, name: str = "cache") -> Json:
        return super().status(name)

    def condition(self, type_: str, name: str = "cache") -> tuple[str, str]:
        return super().condition(type_, name)

    def message(self, type_: str, name: str = "cache") -> str:
        return super().message(type_, name)

    def is_ready(self, name: str = "cache") -> bool:
        return super().is_ready(name)
