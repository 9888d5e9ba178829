"""Kubeconfigs as kubectl reads them: which context, as whom, and what a login plugin receives and may answer."""

import base64
import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from multidict import CIMultiDictProxy

from kgents_collector_k8s.source import ApiClient, ApiError
from kgents_shared.contract.errors import ConfigError
from kgents_shared.kubernetes import login
from kgents_shared.runtime.clock import SystemClock
from support.k8s_peer import Json, kubeconfig, serving
from support.kube_api import KubeApi
from support.waiting import within

API = "client.authentication.k8s.io/v1"


def noting(requests: list[CIMultiDictProxy[str]]) -> AbstractAsyncContextManager[str]:
    """A server that notes the headers of each request."""

    async def answer(request: web.Request) -> web.StreamResponse:
        requests.append(request.headers)
        return web.json_response({})

    return serving(answer)


async def refused(path: Path | None, context: str = "") -> str:
    with pytest.raises(ConfigError) as error:
        async with ApiClient(path, context, SystemClock()):
            pass
    return str(error.value)


async def headers(directory: Path, user: Json) -> CIMultiDictProxy[str]:
    """What is sent with a request of this user."""
    requests: list[CIMultiDictProxy[str]] = []
    async with noting(requests) as url:
        path = kubeconfig(directory / "kubeconfig", url, user=user)
        async with ApiClient(path, "", SystemClock()) as client:
            await client.get_bytes("/api/v1/pods", {})
    return requests[0]


# As whom


async def test_we_act_as_who_the_kubeconfig_says(tmp_path: Path) -> None:
    user = {
        "token": "t",
        "as": "jane",
        "as-uid": "7",
        "as-groups": ["dev", "ops"],
        "as-user-extra": {"scopes": ["a", "b"], "acme.com/project": ["x"]},
    }
    sent = await headers(tmp_path, user)
    assert sent.getall("Impersonate-User") == ["jane"]
    assert sent.getall("Impersonate-Uid") == ["7"]
    assert sent.getall("Impersonate-Group") == ["dev", "ops"]
    assert sent.getall("Impersonate-Extra-scopes") == ["a", "b"]
    assert sent.getall("Impersonate-Extra-acme.com%2Fproject") == ["x"]
    assert sent["Authorization"] == "Bearer t"


async def test_no_one_is_impersonated_unless_configured(tmp_path: Path) -> None:
    assert not [name for name in await headers(tmp_path, {"token": "t"}) if name.startswith("Impersonate")]


async def test_the_server_judges_by_whom_we_act_as(tmp_path: Path) -> None:
    async with KubeApi() as api:
        path = kubeconfig(tmp_path / "kubeconfig", api.url, user={"token": api.token, "as": "jane"})
        async with ApiClient(path, "", SystemClock()) as client:
            with pytest.raises(ApiError, match=r'403 Forbidden: .*"jane"'):
                await client.get_bytes("/api/v1/pods", {})


@pytest.mark.parametrize("more", [{"as-groups": ["dev"]}, {"as-uid": "7"}, {"as-user-extra": {"a": ["b"]}}])
async def test_groups_without_a_user_are_refused(tmp_path: Path, more: Json) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9", user={"token": "t"} | more)
    assert f"expected `as` beside `{next(iter(more))}`" in await refused(path)


# Which context


@pytest.mark.parametrize("current", [None, ""])
async def test_a_kubeconfig_without_a_current_context_is_read_by_name(tmp_path: Path, current: str | None) -> None:
    async with noting([]) as url:
        path = kubeconfig(tmp_path / "kubeconfig", url, current=current)
        async with ApiClient(path, "x", SystemClock()) as client:
            await client.get_bytes("/api/v1/pods", {})
    assert "context: expected one of x, found none" in await refused(path)


async def test_a_missing_context_is_reported_with_those_that_exist(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9")
    assert "context: expected one of x, found 'prod'" in await refused(path, "prod")


async def test_of_several_kubeconfigs_the_first_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = kubeconfig(tmp_path / "one", "http://127.0.0.1:1", name="one", current="one")
    two = kubeconfig(tmp_path / "two", "http://127.0.0.1:2", name="two", current="two")
    monkeypatch.setenv("KUBECONFIG", f"{one}:{tmp_path / 'none'}:{two}")
    async with ApiClient(None, "", SystemClock()) as client:
        assert client.url == "http://127.0.0.1:1"
    async with ApiClient(None, "two", SystemClock()) as client:
        assert client.url == "http://127.0.0.1:2"


async def test_a_missing_kubeconfig_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert f"expected a kubeconfig, found none at {tmp_path / 'none'}" in await refused(None)


async def test_a_context_without_a_kubeconfig_is_refused_in_a_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    monkeypatch.setattr(login, "SERVICE_ACCOUNT", token)
    assert "context: expected a kubeconfig beside 'prod'" in await refused(None, "prod")


# Files


async def test_files_are_named_from_where_their_kubeconfig_is(tmp_path: Path) -> None:
    async with KubeApi(is_tls=True) as api:
        path = api.kubeconfig(tmp_path / "kubeconfig", with_certificate=True)
        content = json.loads(path.read_text())
        for each in (content["clusters"][0]["cluster"], content["users"][0]["user"]):
            for name in [name for name in each if name.endswith("-data")]:
                setting = name.removesuffix("-data")
                (tmp_path / setting).write_bytes(base64.b64decode(each.pop(name)))
                each[setting] = setting
        path.write_text(json.dumps(content))
        async with ApiClient(path, "", SystemClock()) as client:
            await client.get_bytes("/api/v1/pods", {})


async def test_a_token_is_read_from_beside_its_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t4\n")
    assert (await headers(tmp_path, {"tokenFile": "token"}))["Authorization"] == "Bearer t4"


# Connections


@pytest.mark.parametrize(
    ("cluster", "is_trusted"),
    [({}, False), ({"insecure-skip-tls-verify": True}, True), ({"tls-server-name": "elsewhere"}, False)],
)
async def test_a_server_is_trusted_as_the_kubeconfig_says(tmp_path: Path, cluster: Json, *, is_trusted: bool) -> None:
    async with KubeApi(is_tls=True) as api:
        path = api.kubeconfig(tmp_path / "kubeconfig")
        content = json.loads(path.read_text())
        described = content["clusters"][0]["cluster"]
        if "tls-server-name" not in cluster:
            del described["certificate-authority-data"]
        described |= cluster
        path.write_text(json.dumps(content))
        async with ApiClient(path, "", SystemClock()) as client:
            if is_trusted:
                await client.get_bytes("/api/v1/pods", {})
            else:
                with pytest.raises(ApiError, match="Certificate"):
                    await client.get_bytes("/api/v1/pods", {})


async def test_no_watch_waits_until_another_ends(tmp_path: Path) -> None:
    async with KubeApi() as api, ApiClient(api.kubeconfig(tmp_path / "kubeconfig"), "", SystemClock()) as client:
        watches = [client.lines("/api/v1/pods", {"watch": "1"}, deadline_s=60) for _ in range(120)]
        async with within(30):
            for watch in watches:
                assert await anext(watch) == b""
        for watch in watches:
            await watch.aclose()


async def test_requests_go_through_the_proxy_that_the_kubeconfig_names(tmp_path: Path) -> None:
    requests: list[CIMultiDictProxy[str]] = []
    async with noting(requests) as proxy:
        cluster: Json = {"proxy-url": proxy}
        path = kubeconfig(tmp_path / "kubeconfig", "http://api.invalid", **cluster)
        async with ApiClient(path, "", SystemClock()) as client:
            await client.get_bytes("/api/v1/pods", {})
    assert requests[0]["Host"] == "api.invalid"


# Plugins


def plugin(script: str, **more: Any) -> Json:
    return {"exec": {"apiVersion": API, "command": "sh", "args": ["-c", script]} | more}


def credential(token: str | None = None, **status: Any) -> str:
    status |= {"token": token} if token is not None else {}
    return json.dumps({"apiVersion": API, "kind": "ExecCredential", "status": status})


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo CANARY >&2; exit 3", "the login plugin sh ended with 3"),
        ("echo CANARY", "the login plugin sh gave no ExecCredential"),
        (f"echo '{credential('')}'", "the login plugin sh gave neither a token nor a certificate"),
        (f"echo '{credential(clientCertificateData='x')}'", "neither a token nor a certificate"),
        (f"echo '{credential('CANARY').replace('/v1', '/v1beta1')}'", f"no ExecCredential of {API}"),
    ],
)
async def test_a_plugin_that_returns_no_login_is_reported_without_its_output(
    tmp_path: Path, script: str, words: str
) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9", user=plugin(script))
    said = await refused(path)
    assert words in said
    assert "CANARY" not in said


async def test_a_plugin_that_is_not_installed_is_named(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9", user=plugin("", command="no-such-plugin"))
    assert "the login plugin no-such-plugin cannot be run: No such file or directory" in await refused(path)


async def test_a_plugin_stands_beside_its_kubeconfig(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "log-in"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\necho '{credential('t3')}'\n")
    script.chmod(0o755)
    sent = await headers(tmp_path, plugin("", command="./bin/log-in", args=[]))
    assert sent["Authorization"] == "Bearer t3"


async def test_a_plugin_receives_the_cluster_when_it_asks(tmp_path: Path) -> None:
    received, authority = tmp_path / "received", tmp_path / "ca.pem"
    authority.write_text("an authority")
    script = f"echo \"$KUBERNETES_EXEC_INFO\" > {received}; echo '{credential('t')}'"
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "prod"}}
    cluster: Json = {"certificate-authority": "ca.pem", "extensions": [extension]}
    for asks in (True, False):
        user = plugin(script, provideClusterInfo=asks)
        path = kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9", user=user, **cluster)
        async with ApiClient(path, "", SystemClock()):
            spec = json.loads(received.read_text())["spec"]
        assert spec.get("cluster") == (
            {
                "server": "http://127.0.0.1:9",
                "certificate-authority-data": base64.b64encode(b"an authority").decode(),
                "config": {"audience": "prod"},
            }
            if asks
            else None
        )
