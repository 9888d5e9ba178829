"""Our stand-in with roles: what no rule allows is forbidden, so that a role can be proven sufficient and minimal."""

from pathlib import Path

import pytest

from support import kube_objects
from support.kube_api import KubeApi
from support.kubernetes import Json, Kubernetes

READER: Json = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "reader"},
    "rules": [
        {"apiGroups": [""], "resources": ["pods", "pods/status"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"], "verbs": ["get", "list"]},
    ],
}


async def status(client: Kubernetes, method: str, path: str, **query: str) -> int:
    return (await client.request(method, path, query=query)).status


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/v1/pods", 200),
        ("GET", "/api/v1/namespaces/default/pods", 200),
        ("GET", "/api/v1/namespaces/default/pods/web/status", 200),
        ("DELETE", "/api/v1/namespaces/default/pods/web", 403),
        ("GET", "/api/v1/services", 403),
        ("GET", "/apis/apps/v1/deployments", 200),
        ("GET", "/apis/apps/v1/namespaces/default/deployments/web", 403),
        ("GET", "/api/v1/namespaces/default/configmaps", 403),
        ("GET", "/api/v1/namespaces/default/configmaps/mine", 200),
        ("GET", "/api/v1/namespaces/default/configmaps/other", 403),
        ("GET", "/apis", 200),
        ("GET", "/metrics", 403),
    ],
)
async def test_only_what_a_rule_allows_is_answered(
    api: KubeApi, client: Kubernetes, method: str, path: str, code: int
) -> None:
    api.create(kube_objects.pod("web"))
    api.create(kube_objects.configmap("mine", data={}))
    api.authorize(READER)
    assert await status(client, method, path) == code


async def test_a_rule_for_one_name_allows_a_list_of_that_name(api: KubeApi, client: Kubernetes) -> None:
    api.authorize(READER)
    path = "/api/v1/namespaces/default/configmaps"
    assert await status(client, "GET", path, fieldSelector="metadata.name=mine") == 200
    assert await status(client, "GET", path, fieldSelector="metadata.name=other") == 403


async def test_a_list_is_no_watch(api: KubeApi, client: Kubernetes) -> None:
    api.authorize(READER)
    query = {"watch": "1", "timeoutSeconds": "1"}
    assert await status(client, "GET", "/api/v1/pods", **query) == 200
    assert await status(client, "GET", "/apis/apps/v1/deployments", **query) == 403


async def test_a_role_in_a_namespace_holds_only_there(api: KubeApi, client: Kubernetes) -> None:
    api.authorize(READER, "kube-system")
    assert await status(client, "GET", "/api/v1/namespaces/kube-system/pods") == 200
    assert await status(client, "GET", "/api/v1/namespaces/default/pods") == 403
    assert await status(client, "GET", "/api/v1/pods") == 403


async def test_reviews_say_the_same(api: KubeApi, client: Kubernetes) -> None:
    api.authorize(READER, "kube-system")
    for namespace, allowed in (("kube-system", True), ("default", False)):
        attributes = {"verb": "list", "resource": "pods", "namespace": namespace}
        body = {"spec": {"resourceAttributes": attributes}}
        answer = await client.do("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
        assert answer["status"]["allowed"] is allowed
    asked: Json = {"spec": {"namespace": "kube-system"}}
    answer = await client.do("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", asked)
    assert answer["status"]["resourceRules"] == READER["rules"]


async def test_what_is_forbidden_can_be_permitted_again(api: KubeApi, client: Kubernetes) -> None:
    api.forbid("deployments.apps", ["list"])
    assert await status(client, "GET", "/apis/apps/v1/deployments") == 403
    assert await status(client, "GET", "/apis/apps/v1/replicasets") == 200
    api.permit("deployments.apps")
    assert await status(client, "GET", "/apis/apps/v1/deployments") == 200


async def test_a_client_certificate_stands_whatever_the_token(tmp_path: Path) -> None:
    async with (
        KubeApi(is_tls=True) as api,
        Kubernetes(api.kubeconfig(tmp_path / "kubeconfig", with_certificate=True)) as client,
    ):
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            assert (await client.get("/api/v1/pods", headers=headers)).status == 200
        assert client.has_certificate


async def test_another_token_is_refused_until_it_is_presented(api: KubeApi, client: Kubernetes) -> None:
    api.token = "rotated"
    assert await status(client, "GET", "/api/v1/pods") == 401
    assert (await client.get("/api/v1/pods", headers={"Authorization": "Bearer rotated"})).status == 200
