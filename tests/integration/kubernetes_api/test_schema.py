"""Our stand-in against the official schema: whatever it serves, the generated models read and write back unchanged."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes_asyncio.client import ApiClient

from support import kube_shop
from support.kube_api import KubeApi
from support.kubernetes import Json, Kubernetes

MODELS = {
    "namespaces": "V1Namespace",
    "nodes": "V1Node",
    "pods": "V1Pod",
    "services": "V1Service",
    "configmaps": "V1ConfigMap",
    "secrets": "V1Secret",
    "serviceaccounts": "V1ServiceAccount",
    "persistentvolumes": "V1PersistentVolume",
    "persistentvolumeclaims": "V1PersistentVolumeClaim",
    "events": "CoreV1Event",
    "deployments.apps": "V1Deployment",
    "replicasets.apps": "V1ReplicaSet",
    "statefulsets.apps": "V1StatefulSet",
    "daemonsets.apps": "V1DaemonSet",
    "jobs.batch": "V1Job",
    "cronjobs.batch": "V1CronJob",
    "endpointslices.discovery.k8s.io": "V1EndpointSlice",
    "ingresses.networking.k8s.io": "V1Ingress",
    "networkpolicies.networking.k8s.io": "V1NetworkPolicy",
    "horizontalpodautoscalers.autoscaling": "V2HorizontalPodAutoscaler",
    "poddisruptionbudgets.policy": "V1PodDisruptionBudget",
    "events.events.k8s.io": "EventsV1Event",
    "leases.coordination.k8s.io": "V1Lease",
    "storageclasses.storage.k8s.io": "V1StorageClass",
}


@pytest.fixture
async def models() -> AsyncIterator[ApiClient]:
    async with ApiClient() as models:
        yield models


@pytest.fixture
def full(api: KubeApi) -> KubeApi:
    """With an object of every kind."""
    for content in kube_shop.everything():
        api.create(content)
    return api


def read(models: ApiClient, content: Json, model: str) -> Any:
    """Through the model and back must be the same: nothing lost, nothing of another type."""
    found = models.deserialize(SimpleNamespace(data=json.dumps(content)), model)  # type: ignore[arg-type]
    assert plain(models.sanitize_for_serialization(found)) == plain(content)
    return found


def plain(content: Any) -> Any:
    """Without nulls, and with times as times."""
    match content:
        case dict():
            return {key: plain(value) for key, value in content.items() if value is not None}
        case list():
            return [plain(value) for value in content]
        case str() if content[:2] == "20" and content[10:11] == "T":
            return datetime.fromisoformat(content)
        case _:
            return content


def test_every_served_resource_has_a_model(api: KubeApi) -> None:
    assert {resource.name for resource in api.served} - MODELS.keys() == {
        "pods.metrics.k8s.io",
        "nodes.metrics.k8s.io",
    }


def path_of(api: KubeApi, name: str) -> str:
    resource = api.resource(name)
    return f"/apis/{resource.api_version}/{resource.plural}" if resource.group else f"/api/v1/{resource.plural}"


@pytest.mark.parametrize("resource", MODELS)
async def test_lists_are_what_the_schema_says(
    full: KubeApi, client: Kubernetes, models: ApiClient, resource: str
) -> None:
    answer = await client.get(path_of(full, resource))
    found = read(models, answer.body, f"{MODELS[resource]}List")
    assert found.kind == f"{full.resource(resource).kind}List"
    assert len(found.items) == len(full.objects(resource))
    assert found.items


@pytest.mark.parametrize("resource", MODELS)
async def test_objects_and_watch_events_are_what_the_schema_says(
    full: KubeApi, client: Kubernetes, models: ApiClient, resource: str
) -> None:
    async with client.watch(path_of(full, resource)) as stream:
        events = await stream.take(len(full.objects(resource)))
    for event in events:
        read(models, event, "V1WatchEvent")
        read(models, event["object"], MODELS[resource])


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/api/v1/namespaces/shop/pods/nothing", {}, 404),
        ("/api/v1/pods", {"limit": "few"}, 400),
        ("/api/v1/pods", {"resourceVersion": "999999999"}, 504),
        ("/api/v1/pods", {"resourceVersion": "1", "resourceVersionMatch": "Exact"}, 410),
        ("/api/v1/pods", {"resourceVersionMatch": "Exact"}, 422),
    ],
)
async def test_failures_are_what_the_schema_says(
    full: KubeApi, client: Kubernetes, models: ApiClient, path: str, query: dict[str, str], code: int
) -> None:
    full.compact()
    answer = await client.get(path, query=query)
    assert answer.status == code
    assert read(models, answer.body, "V1Status").code == code


async def test_an_error_in_a_stream_is_what_the_schema_says(
    full: KubeApi, client: Kubernetes, models: ApiClient
) -> None:
    full.compact()
    async with client.watch("/api/v1/pods", query={"resourceVersion": "1"}) as stream:
        (event,) = await stream.until_end()
    assert read(models, event["object"], "V1Status").code == 410


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/version", "VersionInfo"),
        ("/api", "V1APIVersions"),
        ("/apis", "V1APIGroupList"),
        ("/apis/apps", "V1APIGroup"),
        ("/api/v1", "V1APIResourceList"),
        ("/apis/apps/v1", "V1APIResourceList"),
    ],
)
async def test_discovery_is_what_the_schema_says(client: Kubernetes, models: ApiClient, path: str, model: str) -> None:
    read(models, (await client.get(path)).body, model)
