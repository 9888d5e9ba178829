"""The cluster that KUBECONFIG names, asked in the words of our stand-in, and what of it runs no controllers here.

A test claims about objects between two steps, without awaiting anything: so requests are made on another thread, whose
event loop has a client of its own.
"""

import asyncio
import threading
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from support.kube_api.resources import BUILT_IN, Resource
from support.kubernetes import Json, Kubernetes
from support.waiting import eventually

T = TypeVar("T")
DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
STORAGE_CLASS: Final = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "kgents-suite", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kgents.example/none",
    "allowVolumeExpansion": True,
}
KEPT: Final = {"whenDeleted", "whenScaled"}


class RealCluster:
    """`with RealCluster(kubeconfig) as cluster`; resources are named as RBAC names them, such as `deployments.apps`."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client = Kubernetes(kubeconfig)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._served = {resource.name: resource for resource in BUILT_IN}
        self._registered: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._client.__aexit__(kind, error, trace))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def do(self, method: str, path: str, body: Json | None = None) -> Json:
        return self._run(self._client.do(method, path, body))

    def status(self, method: str, path: str, body: Json | None = None) -> int:
        return self._run(self._client.request(method, path, body)).status

    def path(self, resource: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
        found = self._served[resource]
        root = f"/apis/{found.api_version}" if found.group else f"/api/{found.version}"
        place = f"namespaces/{namespace}" if namespace and found.is_namespaced else ""
        return "/".join(part for part in (root, place, found.plural, name, subresource) if part)

    def objects(self, resource: str, namespace: str = "") -> list[Json]:
        found: list[Json] = self.do("GET", self.path(resource, namespace))["items"]
        return found

    def get(self, resource: str, namespace: str, name: str) -> Json:
        return self.do("GET", self.path(resource, namespace, name))

    def create(self, content: Json) -> Json:
        (resource,) = (
            name for name, each in self._served.items()
            if (each.api_version, each.kind) == (content["apiVersion"], content["kind"])
        )  # fmt: skip
        return self.do("POST", self.path(resource, content["metadata"].get("namespace", "")), content)

    def patch(self, resource: str, namespace: str, name: str, patch: Json) -> Json:
        return self.do("PATCH", self.path(resource, namespace, name), patch)

    def patch_status(self, resource: str, namespace: str, name: str, status: Json) -> Json:
        return self.do("PATCH", self.path(resource, namespace, name, "status"), {"status": status})

    def delete(self, resource: str, namespace: str, name: str) -> None:
        """At once, whatever finalizers it has."""
        path = self.path(resource, namespace, name)
        self.status("DELETE", path, {"gracePeriodSeconds": 0})
        self.status("PATCH", path, {"metadata": {"finalizers": None}})

    def define(self, document: Json) -> bool:
        """Serve what a CustomResourceDefinition defines; whether it is new here."""
        (version,), names, group = document["spec"]["versions"], document["spec"]["names"], document["spec"]["group"]
        resource = Resource(
            group, version["name"], names["plural"], names["kind"],
            short_names=(), has_status=True, has_generation=True, is_custom=True,
        )  # fmt: skip
        self._served[resource.name] = resource
        return self.status("POST", DEFINITIONS, document) == 201

    def is_served(self, resource: str) -> bool:
        return self.status("GET", self.path(resource)) == 200

    def register(self, *resources: Resource) -> None:
        """Serve custom resources without a schema."""
        for each in resources:
            anything = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
            version = {"name": each.version, "served": True, "storage": True, "schema": anything}
            version["subresources"] = {"status": {}}
            self._registered.append(each.name)
            self.define(
                {
                    "apiVersion": "apiextensions.k8s.io/v1",
                    "kind": "CustomResourceDefinition",
                    "metadata": {"name": each.name},
                    "spec": {
                        "group": each.group,
                        "scope": "Namespaced",
                        "names": {"plural": each.plural, "kind": each.kind, "singular": each.kind.lower()},
                        "versions": [version],
                    },
                }
            )
            # The server answers 404, then 429, for a moment after a definition is made.
            self._run(eventually(partial(self._answers, self.path(each.name))))

    async def _answers(self, path: str) -> bool:
        return (await self._client.request("GET", path)).status == 200

    def forget_registered(self) -> None:
        while self._registered:
            self.undefine(self._registered.pop())

    def undefine(self, resource: str) -> None:
        """Its objects go with it."""
        self.status("DELETE", f"{DEFINITIONS}/{resource}")
