"""What only our stand-in can be told: its switches, and what tests read from it."""

import asyncio
import sys
from pathlib import Path

import pytest

from support import kube_objects
from support.kube_api import GATEWAY_API, KubeApi, Resource
from support.kubernetes import Json, Kubernetes, Stream
from support.process import spawn_async
from support.waiting import within

PODS = "/api/v1/pods"
WATCH_LIST = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
TESTS = Path(__file__).parents[2]


async def test_a_server_without_watch_list_refuses_it(api: KubeApi, client: Kubernetes) -> None:
    api.watch_list = False
    answer = await client.get(PODS, query=WATCH_LIST | {"watch": "1"})
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")


async def test_a_server_without_bookmarks_still_marks_the_end_of_a_watch_list(api: KubeApi, client: Kubernetes) -> None:
    api.bookmarks, api.bookmark_interval_s = False, 0.05
    async with client.watch(PODS, query=WATCH_LIST | {"timeoutSeconds": "1"}) as stream:
        (mark,) = await stream.until_end()
    assert mark["object"]["metadata"]["annotations"]


async def test_a_bookmark_can_be_asked_for(api: KubeApi, client: Kubernetes) -> None:
    version = str(api.store.revision)
    async with client.watch(PODS, query={"resourceVersion": version, "allowWatchBookmarks": "true"}) as stream:
        api.create(kube_objects.node("node-1"))
        api.bookmark("pods")
        bookmark = await stream.bookmark()
    assert int(bookmark["metadata"]["resourceVersion"]) == api.store.revision > int(version)


@pytest.mark.parametrize("in_stream", [True, False])
async def test_a_compaction_ends_every_older_version_but_no_open_watch(
    api: KubeApi, client: Kubernetes, in_stream: bool
) -> None:
    api.gone_in_stream = in_stream
    version = {"resourceVersion": str(api.store.revision)}
    async with client.watch(PODS, query=version) as open_:
        api.create(kube_objects.pod("one"))
        api.compact()
        api.create(kube_objects.pod("two"))
        assert [event["object"]["metadata"]["name"] for event in await open_.take(2)] == ["one", "two"]
    async with client.watch(PODS, query=version) as stream:
        assert stream.status == (200 if in_stream else 410)
        if in_stream:
            assert await code(stream) == 410


async def test_a_restored_backup_is_what_it_was_and_no_watch_goes_back(api: KubeApi, client: Kubernetes) -> None:
    api.create(kube_objects.pod("one"))
    backup = api.backup()
    api.create(kube_objects.pod("two"))
    api.delete("pods", "default", "one")
    ours = {"resourceVersion": str(api.store.revision), "allowWatchBookmarks": "true"}
    async with client.watch(PODS, query=ours) as stream:
        api.restore(backup)
        assert await stream.until_end() == []
    found = (await client.get(PODS)).body
    assert [each["metadata"]["name"] for each in found["items"]] == ["one"]
    assert int(found["metadata"]["resourceVersion"]) == backup.revision < int(ours["resourceVersion"])
    async with client.watch(PODS, query=ours) as stream:
        api.create(kube_objects.pod("three"))
        api.bookmark("pods")
        api.create(kube_objects.pod("four"))
        api.create(kube_objects.pod("five"))
        assert (await stream.take(1))[0]["object"]["metadata"]["name"] == "five", "the first behind our version"
    async with client.watch(PODS, query={"resourceVersion": str(backup.revision - 1)}) as stream:
        assert await code(stream) == 410


async def test_a_server_that_has_just_started_refuses_all_and_asks_for_patience(
    api: KubeApi, client: Kubernetes
) -> None:
    api.access.is_loaded = False
    assert (await client.get(PODS)).body["reason"] == "Forbidden"
    api.access.is_loaded = True
    api.initializing.add("pods")
    answer = await client.get(PODS)
    assert (answer.status, answer.body["message"]) == (429, "storage is (re)initializing")
    assert answer.headers["Retry-After"] == "1"
    api.initializing.clear()
    assert (await client.get(PODS)).status == 200


async def code(stream: Stream) -> int:
    event = await stream.next()
    assert event is not None
    found: int = event["object"]["code"]
    return found


async def test_what_is_no_longer_served_is_unknown_and_its_watches_end(api: KubeApi, client: Kubernetes) -> None:
    path = "/apis/autoscaling/v2/horizontalpodautoscalers"
    async with client.watch(path) as stream:
        api.unserve("horizontalpodautoscalers.autoscaling")
        assert await stream.until_end() == []
    assert (await client.get(path)).text == "404 page not found\n"
    assert "autoscaling" not in {group["name"] for group in (await client.get("/apis")).body["groups"]}


async def test_custom_resources_can_be_registered(api: KubeApi, client: Kubernetes) -> None:
    assert (await client.get("/apis/gateway.networking.k8s.io/v1/httproutes")).status == 404
    api.register(*GATEWAY_API, Resource("kgents.example", "v1alpha1", "things", "Thing", is_custom=True))
    api.create(kube_objects.make("kgents.example/v1alpha1", "Thing", "one", "default", spec={"size": 1}))
    answer = await client.get("/apis/kgents.example/v1alpha1/things")
    assert list(answer.body) == ["apiVersion", "items", "kind", "metadata"], "as custom resources are written"
    assert answer.body["items"][0]["kind"] == "Thing"
    assert (await client.get("/apis/gateway.networking.k8s.io/v1/httproutes")).body["items"] == []


async def test_metrics_have_no_version_and_no_watch(api: KubeApi, client: Kubernetes) -> None:
    pod = kube_objects.pod("web", "default")
    api.set_metrics("pods", [kube_objects.pod_metrics(pod, cpu="250m")])
    path = "/apis/metrics.k8s.io/v1beta1"
    answer = await client.get(f"{path}/pods")
    assert (answer.body["kind"], answer.body["metadata"]) == ("PodMetricsList", {})
    assert answer.body["items"][0]["containers"] == [{"name": "main", "usage": {"cpu": "250m", "memory": "34567Ki"}}]
    assert (await client.get(f"{path}/namespaces/default/pods/web")).body["timestamp"]
    assert (await client.get(f"{path}/namespaces/kube-system/pods")).body["items"] == []
    assert (await client.get(f"{path}/nodes")).body["items"] == []
    assert (await client.get(f"{path}/pods", query={"watch": "1"})).status == 405


async def test_a_marked_object_stays_until_it_is_deleted(api: KubeApi, client: Kubernetes) -> None:
    api.create(kube_objects.pod("web"))
    query = {"resourceVersion": str(api.store.revision)}
    async with client.watch(PODS, query=query) as stream:
        api.mark_deleted("pods", "default", "web")
        api.delete("pods", "default", "web")
        marked, gone = await stream.take(2)
    assert (marked["type"], gone["type"]) == ("MODIFIED", "DELETED")
    assert marked["object"]["metadata"]["deletionGracePeriodSeconds"] == 30


async def test_a_deleted_namespace_is_seen_terminating_then_empty_then_gone(api: KubeApi, client: Kubernetes) -> None:
    api.create(kube_objects.namespace("shop"))
    api.create(kube_objects.pod("web", "shop"))
    version = {"resourceVersion": str(api.store.revision)}
    api.delete("namespaces", "", "shop")
    async with client.watch("/api/v1/namespaces", query=version) as stream:
        terminating, gone = await stream.take(2)
    async with client.watch(PODS, query=version) as stream:
        (pod,) = await stream.take(1)
    assert terminating["object"]["status"]["phase"] == "Terminating"
    assert [event["type"] for event in (terminating, pod, gone)] == ["MODIFIED", "DELETED", "DELETED"]
    assert version_of(terminating) < version_of(pod) < version_of(gone)


def version_of(event: Json) -> int:
    return int(event["object"]["metadata"]["resourceVersion"])


async def test_every_request_is_noted(api: KubeApi, client: Kubernetes) -> None:
    await client.get("/apis/apps/v1/namespaces/default/deployments", query={"limit": "5"})
    call = api.calls[-1]
    assert (call.verb, call.resource, call.namespace) == ("list", "deployments.apps", "default")
    assert call.query == {"limit": "5"}


async def test_a_process_of_its_own_serves_many_pods(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    process = await spawn_async(
        sys.executable, "-m", "support.kube_api", "--pods", "250", "--kubeconfig", str(kubeconfig),
        cwd=TESTS, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with within(20):
            assert str(kubeconfig) in (await process.stdout.readline()).decode()
            async with Kubernetes(kubeconfig) as client:
                answer = await client.get(PODS, query={"limit": "100"})
        assert answer.body["metadata"]["remainingItemCount"] == 150
    finally:
        process.stdin.close()
        async with within(10):
            assert await process.wait() == 0
