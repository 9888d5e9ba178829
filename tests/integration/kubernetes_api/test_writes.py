"""What a write does: identity, versions, generations, the status apart from the rest, and deletions in steps."""

import pytest

from support.kubernetes import Json
from support.kubernetes_site import Site

LABELS = {"app": "web"}
POD_SPEC = {"automountServiceAccountToken": False, "containers": [{"name": "main", "image": "registry.example/web:1"}]}


def pod(name: str, **spec: object) -> Json:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": POD_SPEC | spec}


def deployment(name: str, replicas: int) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "paused": True,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": POD_SPEC},
        },
    }


async def test_the_server_gives_an_object_its_identity(site: Site) -> None:
    found = (await site.create("one"))["metadata"]
    assert len(found["uid"]) == 36
    assert found["creationTimestamp"].endswith("Z")
    assert int(found["resourceVersion"]) > 1
    assert found["namespace"] == site.namespace


async def test_a_name_can_be_left_to_the_server(site: Site) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"}}
    made = await site.client.do("POST", site.path("configmaps"), body)
    assert made["metadata"]["name"].startswith("made-")
    assert len(made["metadata"]["name"]) == len("made-") + 5
    refused = await site.client.request("POST", site.path("configmaps"), body | {"metadata": {"generateName": "made."}})
    assert (refused.status, refused.body["details"]["causes"][0]["field"]) == (422, "metadata.generateName")


async def test_versions_grow_over_all_resources(site: Site) -> None:
    first = await site.create("one")
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "two"}}
    second = await site.client.do("POST", site.path("secrets"), body)
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])


async def test_a_pod_begins_pending_whatever_status_was_sent(site: Site) -> None:
    made = await site.client.do("POST", site.path("pods"), pod("web") | {"status": {"phase": "Running"}})
    assert made["status"]["phase"] == "Pending"


async def test_the_status_is_patched_apart_from_the_spec(site: Site) -> None:
    await site.client.do("POST", site.path("pods"), pod("web"))
    patch = {"status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}}
    await site.client.do("PATCH", site.path("pods", "web"), patch)
    assert (await site.client.get(site.path("pods", "web"))).body["status"]["phase"] == "Pending"
    patched = await site.client.do("PATCH", site.path("pods", "web", status=True), patch)
    assert (patched["status"]["phase"], patched["status"]["reason"]) == ("Failed", "Evicted")
    found = await site.client.do("GET", site.path("pods"), query={"fieldSelector": "status.phase=Failed"})
    assert [item["metadata"]["name"] for item in found["items"]] == ["web"]


async def test_only_another_intent_is_another_generation(site: Site) -> None:
    path = site.path("deployments", "web", group="apps/v1")
    made = await site.client.do("POST", site.path("deployments", group="apps/v1"), deployment("web", 1))
    assert made["metadata"]["generation"] == 1
    status = site.path("deployments", "web", group="apps/v1", status=True)
    await site.client.do("PATCH", status, {"status": {"unavailableReplicas": 1}})
    labelled = await site.client.do("PATCH", path, {"metadata": {"labels": {"a": "b"}}})
    assert labelled["metadata"]["generation"] == 1
    scaled = await site.client.do("PATCH", path, {"spec": {"replicas": 2}})
    assert scaled["metadata"]["generation"] == 2


async def test_a_replacement_of_an_older_version_is_a_conflict(site: Site) -> None:
    read = await site.create("one")
    await site.change("one", key="other")
    answer = await site.client.request("PUT", site.path("configmaps", "one"), read | {"data": {"key": "mine"}})
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.body["details"] == {"name": "one", "kind": "configmaps"}


async def test_a_deletion_may_name_the_incarnation_it_means(site: Site) -> None:
    first = await site.create("one")
    await site.delete("one")
    await site.create("one")
    body = {"preconditions": {"uid": first["metadata"]["uid"]}}
    answer = await site.client.request("DELETE", site.path("configmaps", "one"), body)
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")


async def test_an_object_with_finalizers_is_marked_and_goes_when_the_last_is_removed(site: Site) -> None:
    await site.create("one")
    patch: Json = {"metadata": {"finalizers": ["kgents.example/hold"]}}
    held = await site.client.do("PATCH", site.path("configmaps", "one"), patch)
    async with site.watch(resourceVersion=held["metadata"]["resourceVersion"]) as stream:
        await site.delete("one")
        (marked,) = await stream.take(1)
        assert marked["type"] == "MODIFIED"
        assert marked["object"]["metadata"]["deletionTimestamp"]
        await site.client.do("PATCH", site.path("configmaps", "one"), {"metadata": {"finalizers": None}})
        (gone,) = await stream.take(1)
    assert gone["type"] == "DELETED"
    assert gone["object"]["metadata"]["uid"] == held["metadata"]["uid"]
    assert (await site.client.get(site.path("configmaps", "one"))).status == 404


async def test_a_pod_on_a_node_is_marked_and_a_pod_without_one_goes_at_once(site: Site) -> None:
    version = (await site.client.do("GET", site.path("pods")))["metadata"]["resourceVersion"]
    await site.client.do("POST", site.path("pods"), pod("homeless"))
    await site.client.do("POST", site.path("pods"), pod("placed", nodeName="kgents-no-such-node"))
    await site.client.do("DELETE", site.path("pods", "homeless"))
    await site.client.do("DELETE", site.path("pods", "placed"))
    await site.client.do("DELETE", site.path("pods", "placed"), {"gracePeriodSeconds": 0})
    seen: dict[str, list[Json]] = {"homeless": [], "placed": []}
    async with site.client.watch(site.path("pods"), query={"resourceVersion": version}) as stream:
        while not all(events and events[-1]["type"] == "DELETED" for events in seen.values()):
            (event,) = await stream.take(1)
            seen[event["object"]["metadata"]["name"]].append(event)
    marks = [event["object"]["metadata"].get("deletionTimestamp") for event in seen["placed"]]
    assert not marks[0]
    assert all(marks[1:])
    assert len([event for event in seen["placed"] if event["type"] == "MODIFIED"]) >= 1


@pytest.mark.needs_controllers
async def test_a_deleted_namespace_takes_its_objects_with_it(site: Site) -> None:
    await site.create("one")
    async with site.watch(resourceVersion=await site.version()) as stream:
        await site.client.do("DELETE", f"/api/v1/namespaces/{site.namespace}")
        (event,) = await stream.take(1, within_s=30)
    assert (event["type"], event["object"]["metadata"]["name"]) == ("DELETED", "one")
