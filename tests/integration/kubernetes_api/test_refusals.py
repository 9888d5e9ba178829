"""How an API server says no: the Status that a client reads."""

from support.kubernetes import Answer
from support.kubernetes_site import Site


def assert_status(answer: Answer, code: int, reason: str) -> None:
    assert answer.status == code, answer.text
    assert answer.body["kind"] == "Status"
    assert answer.body["apiVersion"] == "v1"
    assert (answer.body["status"], answer.body["code"], answer.body["reason"]) == ("Failure", code, reason)
    assert answer.body["message"]
    assert answer.body["metadata"] == {}


async def test_an_object_that_is_not_there(site: Site) -> None:
    answer = await site.client.get(site.path("deployments", "nothing", group="apps/v1"))
    assert_status(answer, 404, "NotFound")
    assert answer.body["message"] == 'deployments.apps "nothing" not found'
    assert answer.body["details"] == {"name": "nothing", "group": "apps", "kind": "deployments"}


async def test_a_namespace_that_is_not_there_is_an_empty_list_and_takes_no_object(site: Site) -> None:
    path = f"/api/v1/namespaces/{site.namespace}-not/configmaps"
    assert (await site.client.get(path)).body["items"] == []
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}
    assert_status(await site.client.request("POST", path, body), 404, "NotFound")


async def test_a_name_that_is_taken(site: Site) -> None:
    await site.create("one")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}
    answer = await site.client.request("POST", site.path("configmaps"), body)
    assert_status(answer, 409, "AlreadyExists")
    assert answer.body["message"] == 'configmaps "one" already exists'


async def test_an_object_without_a_name(site: Site) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}
    answer = await site.client.request("POST", site.path("configmaps"), body)
    assert_status(answer, 422, "Invalid")
    assert answer.body["details"]["causes"][0]["field"] == "metadata.name"


async def test_an_object_of_another_kind(site: Site) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one"}}
    assert_status(await site.client.request("POST", site.path("configmaps"), body), 400, "BadRequest")


async def test_an_object_of_another_namespace(site: Site) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "default"}}
    assert_status(await site.client.request("POST", site.path("configmaps"), body), 400, "BadRequest")


async def test_a_token_that_is_wrong(site: Site) -> None:
    answer = await site.client.get(site.path("configmaps"), headers={"Authorization": "Bearer wrong"})
    if site.client.has_certificate:
        assert answer.status == 200, "a client certificate stands whatever the token"
    else:
        assert_status(answer, 401, "Unauthorized")


async def test_a_user_without_rights(site: Site) -> None:
    answer = await site.client.get(site.path("configmaps"), headers={"Impersonate-User": "kgents-unknown"})
    assert_status(answer, 403, "Forbidden")
    assert answer.body["message"].startswith(
        'configmaps is forbidden: User "kgents-unknown" cannot list resource "configmaps" in API group "" '
        f'in the namespace "{site.namespace}"'
    )
    assert answer.body["details"] == {"kind": "configmaps"}


async def test_a_user_without_rights_over_all_namespaces(site: Site) -> None:
    answer = await site.client.get("/apis/apps/v1/deployments", headers={"Impersonate-User": "kgents-unknown"})
    assert_status(answer, 403, "Forbidden")
    assert "at the cluster scope" in answer.body["message"]


async def test_a_resource_of_an_unknown_group_is_no_status_but_text(site: Site) -> None:
    answer = await site.client.get("/apis/kgents.example/v1/widgets")
    assert (answer.status, answer.body) == (404, {})
    assert answer.text.strip() == "404 page not found"


async def test_an_unknown_resource_or_version_of_a_known_group_is_a_status(site: Site) -> None:
    for path in ("/api/v1/widgets", "/apis/apps/v1/widgets", "/apis/apps/v1beta1/deployments"):
        answer = await site.client.get(path)
        assert_status(answer, 404, "NotFound")
        assert answer.body["message"] == "the server could not find the requested resource"
        assert answer.body["details"] == {}


async def test_a_body_that_is_no_json(site: Site) -> None:
    answer = await site.client.request("PATCH", site.path("configmaps", "one"), headers={"Content-Type": "text/plain"})
    assert_status(answer, 415, "UnsupportedMediaType")


async def test_a_form_that_is_not_offered(site: Site) -> None:
    answer = await site.client.get(site.path("configmaps"), headers={"Accept": "text/csv"})
    assert_status(answer, 406, "NotAcceptable")
