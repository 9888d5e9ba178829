"""Server-side apply and custom resources: of our stand-in, and of the cluster that KUBECONFIG names."""

import json
from typing import Any

import pytest

from kgents_operator.resources.definitions import DEFINITIONS
from support.kube_api import KubeApi
from support.kubernetes import Answer, Json, Kubernetes
from support.kubernetes_site import Site
from support.operated import NAMESPACE, postgres, served

TYPE = {"Content-Type": "application/apply-patch+yaml"}
PATH = f"/apis/kgents.io/v1alpha1/namespaces/{NAMESPACE}/postgresclusters"


def configmap(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def apply(site: Site, document: Json, manager: str, *, force: bool = False, path: str = "") -> Answer:
    query = {"fieldManager": manager} | ({"force": "true"} if force else {})
    where = path or site.path("configmaps", document["metadata"]["name"])
    return await site.client.request("PATCH", where, document, query=query, headers=TYPE)


def managers(found: Json) -> dict[str, Any]:
    return {
        f"{each['manager']} {each['operation']}": each["fieldsV1"]
        for each in found["metadata"].get("managedFields", ())
    }


async def test_an_apply_creates_and_the_same_again_makes_no_new_version(site: Site) -> None:
    made = await apply(site, configmap("one", a="1"), "me")
    assert made.status == 201
    again = await apply(site, configmap("one", a="1"), "me")
    assert again.status == 200
    assert again.body["metadata"]["resourceVersion"] == made.body["metadata"]["resourceVersion"]
    assert managers(again.body) == {"me Apply": {"f:data": {"f:a": {}}}}


async def test_a_field_of_anothers_is_a_conflict_unless_it_is_forced(site: Site) -> None:
    await apply(site, configmap("one", a="1", b="1"), "me")
    refused = await apply(site, configmap("one", a="2"), "other")
    assert (refused.status, refused.body["reason"]) == (409, "Conflict")
    assert refused.body["message"] == 'Apply failed with 1 conflict: conflict with "me": .data.a'
    taken = await apply(site, configmap("one", a="2"), "other", force=True)
    assert taken.body["data"] == {"a": "2", "b": "1"}
    assert managers(taken.body) == {"me Apply": {"f:data": {"f:b": {}}}, "other Apply": {"f:data": {"f:a": {}}}}


async def test_equal_values_are_shared_and_what_is_no_longer_stated_goes_when_it_is_nobody_elses(site: Site) -> None:
    await apply(site, configmap("one", a="1", b="1"), "me")
    shared = await apply(site, configmap("one", a="1"), "other")
    assert shared.status == 200
    left = await apply(site, configmap("one", c="1"), "me")
    assert left.body["data"] == {"a": "1", "c": "1"}


async def test_a_write_that_is_no_apply_takes_the_fields_that_it_changes(site: Site) -> None:
    await apply(site, configmap("one", a="1", b="1"), "me")
    patch = {"data": {"a": "2", "d": "1"}}
    await site.client.do("PATCH", site.path("configmaps", "one"), patch, query={"fieldManager": "kubectl"})
    found = (await site.client.get(site.path("configmaps", "one"))).body
    assert managers(found) == {
        "me Apply": {"f:data": {"f:b": {}}},
        "kubectl Update": {"f:data": {"f:a": {}, "f:d": {}}},
    }
    back = await apply(site, configmap("one", a="1", b="1"), "me", force=True)
    assert back.body["data"] == {"a": "1", "b": "1", "d": "1"}, "what others state besides stays"


async def test_an_apply_needs_a_manager(site: Site) -> None:
    answer = await site.client.request("PATCH", site.path("configmaps", "one"), configmap("one"), headers=TYPE)
    assert (answer.status, answer.body["reason"]) in ((400, "BadRequest"), (422, "Invalid"))
    assert "fieldManager" in answer.body["message"]


async def test_containers_are_known_by_their_names(site: Site) -> None:
    path = site.path("deployments", "web", group="apps/v1")
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "a:1"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    document = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    await apply(site, document, "me", path=path)
    patch = {
        "spec": {
            "template": {"spec": {"containers": [{"name": "main", "image": "a:1"}, {"name": "x", "image": "b:1"}]}}
        }
    }
    await site.client.do("PATCH", path, patch)
    template["spec"]["containers"][0]["image"] = "a:2"  # type: ignore[index] # JSON
    again = await apply(site, document, "me", path=path, force=True)
    found = {each["name"]: each["image"] for each in again.body["spec"]["template"]["spec"]["containers"]}
    assert found == {"main": "a:2", "x": "b:1"}


async def test_a_uid_says_which_object_is_meant(site: Site) -> None:
    document = configmap("one", a="1")
    document["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    assert (await apply(site, document, "me")).status == 409


async def test_an_apply_of_what_is_absent_needs_the_right_to_create(api: KubeApi, client: Kubernetes) -> None:
    api.forbid("configmaps", ["create"])
    query = {"fieldManager": "me"}
    answer = await client.request(
        "PATCH", "/api/v1/namespaces/default/configmaps/one", configmap("one"), query=query, headers=TYPE
    )
    assert answer.status == 403


async def test_custom_resources_are_pruned_filled_in_and_held_to_their_rules(api: KubeApi, client: Kubernetes) -> None:
    served(api)
    made = await client.do("POST", PATH, postgres(typo=1))
    assert made["spec"]["replicas"] == 1
    assert "typo" not in made["spec"]
    strict = await client.request("POST", PATH, postgres("two", typo=1), query={"fieldValidation": "Strict"})
    assert (strict.status, strict.body["reason"]) == (400, "BadRequest")
    refused = await client.request("PATCH", f"{PATH}/orders", {"spec": {"database": "other"}})
    assert (refused.status, refused.body["reason"]) == (422, "Invalid")
    assert "the database cannot change" in refused.body["message"]
    status = {"status": {"phase": "Dancing"}}
    refused = await client.request("PATCH", f"{PATH}/orders/status", status)
    assert refused.status == 422
    assert json.dumps(refused.body).count("supported values") >= 1


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.kind)
async def test_a_real_server_takes_the_definitions(site: Site, definition: Any) -> None:
    """Tried out only: a definition belongs to the whole cluster."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    answer = await site.client.request("POST", path, definition.document(), query={"dryRun": "All"})
    if answer.status == 404:
        pytest.skip("our stand-in has no CustomResourceDefinitions")
    assert answer.status == 201, answer.text
