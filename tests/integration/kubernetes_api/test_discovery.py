"""How a client finds out what is served, and what it may do."""

from support.kubernetes_site import Site


async def test_the_server_says_its_version(site: Site) -> None:
    found = (await site.client.get("/version")).body
    assert found["gitVersion"].startswith("v1.")
    assert found["major"] == "1"


async def test_groups_name_their_versions(site: Site) -> None:
    assert (await site.client.get("/api")).body["versions"] == ["v1"]
    groups = {group["name"]: group for group in (await site.client.get("/apis")).body["groups"]}
    assert {"apps", "batch", "discovery.k8s.io", "networking.k8s.io", "autoscaling", "events.k8s.io"} <= groups.keys()
    assert {"groupVersion": "apps/v1", "version": "v1"} in groups["apps"]["versions"]


async def test_a_group_lists_its_resources_and_their_verbs(site: Site) -> None:
    answer = await site.client.get("/apis/apps/v1")
    assert (answer.body["kind"], answer.body["groupVersion"]) == ("APIResourceList", "apps/v1")
    resources = {resource["name"]: resource for resource in answer.body["resources"]}
    assert resources["deployments"]["kind"] == "Deployment"
    assert resources["deployments"]["namespaced"]
    assert resources["deployments"]["shortNames"] == ["deploy"]
    assert {"get", "list", "watch"} <= set(resources["deployments"]["verbs"])
    assert "list" not in resources["deployments/status"]["verbs"]


async def test_events_are_the_same_objects_in_two_groups(site: Site) -> None:
    about = {"kind": "Pod", "apiVersion": "v1", "name": "web", "namespace": site.namespace}
    body = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "web.1"}, "involvedObject": about,
        "reason": "BackOff", "message": "Back-off restarting failed container", "type": "Warning", "count": 3,
        "source": {"component": "kubelet"}, "firstTimestamp": "2026-02-03T04:05:06Z",
        "lastTimestamp": "2026-02-03T04:05:09Z",
    }  # fmt: skip
    made = await site.client.do("POST", site.path("events"), body)
    found = await site.client.do("GET", site.path("events", "web.1", group="events.k8s.io/v1"))
    assert found["apiVersion"] == "events.k8s.io/v1"
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    assert found["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    assert (found["note"], found["deprecatedCount"]) == (body["message"], 3)
    assert found["regarding"]["name"] == "web"
    query = {"fieldSelector": "involvedObject.name=web,type=Warning"}
    assert len((await site.client.do("GET", site.path("events"), query=query))["items"]) == 1


async def test_a_client_can_ask_what_it_may_do(site: Site) -> None:
    attributes = {"verb": "list", "resource": "pods", "namespace": site.namespace}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await site.client.do("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    assert answer["status"]["allowed"] is True
