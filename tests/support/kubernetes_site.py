"""A namespace of its own in a cluster, ours or a real one, and a client that may do everything in it."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from support.kubernetes import Json, Kubernetes, Stream


@dataclass(frozen=True)
class Site:
    """Its objects are ConfigMaps: nothing in a cluster but its clients ever changes one."""

    client: Kubernetes
    namespace: str

    def path(self, plural: str, name: str = "", *, group: str = "", status: bool = False) -> str:
        """Of a collection in the namespace, of an object, or of its status."""
        prefix = f"/apis/{group}" if group else "/api/v1"
        parts = [prefix, "namespaces", self.namespace, plural, name, "status" if status else ""]
        return "/".join(part for part in parts if part)

    async def create(self, name: str, *, labels: dict[str, str] | None = None, **data: str) -> Json:
        """A ConfigMap, labelled `suite=kgents` unless said otherwise."""
        metadata: Json = {"name": name, "labels": labels or {"suite": "kgents"}}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata} | ({"data": data} if data else {})
        return await self.client.do("POST", self.path("configmaps"), body)

    async def change(self, name: str, **data: str) -> Json:
        return await self.client.do("PATCH", self.path("configmaps", name), {"data": data})

    async def relabel(self, name: str, **labels: str) -> Json:
        return await self.client.do("PATCH", self.path("configmaps", name), {"metadata": {"labels": labels}})

    async def delete(self, name: str) -> None:
        await self.client.do("DELETE", self.path("configmaps", name))

    async def list(self, **query: str) -> Json:
        """Those with the label: a controller may put others into the namespace."""
        return await self.client.do("GET", self.path("configmaps"), query={"labelSelector": "suite=kgents"} | query)

    async def version(self) -> str:
        found: str = (await self.list())["metadata"]["resourceVersion"]
        return found

    def watch(self, **query: str) -> AbstractAsyncContextManager[Stream]:
        """A watch of those with the label."""
        return self.client.watch(self.path("configmaps"), query={"labelSelector": "suite=kgents"} | query)
