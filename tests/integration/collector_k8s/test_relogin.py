"""Logins that change while they are used, that fail, or that hang."""

import json
from pathlib import Path

import pytest
from aiohttp import web

from kgents_collector_k8s.source import ApiClient, ApiError
from kgents_shared.contract.errors import ConfigError
from kgents_shared.kubernetes import client, plugin
from kgents_shared.runtime.clock import SystemClock
from support import kube_objects
from support.k8s_peer import Json, kubeconfig, serving
from support.kube_api import KubeApi
from support.waiting import MACHINE, eventually


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RELOGIN_S", 0.0)


async def test_a_renewed_token_is_read_and_cuts_no_watch_of_the_old_one(tmp_path: Path) -> None:
    token = tmp_path / "token"
    async with KubeApi() as api:
        api.token = "one"
        token.write_text("one\n")
        path = kubeconfig(tmp_path / "kubeconfig", api.url, user={"tokenFile": str(token)})
        async with ApiClient(path, "", SystemClock()) as connection:
            lines = connection.lines("/api/v1/pods", {"watch": "1"}, deadline_s=30)
            assert await anext(lines) == b""
            api.token = "two"
            token.write_text("two\n")
            await connection.get_bytes("/api/v1/pods", {})
            api.create(kube_objects.namespace("shop"))
            api.create(kube_objects.pod("a", "shop"))
            assert b'"ADDED"' in await anext(lines)
            await lines.aclose()


async def test_a_login_that_cannot_be_renewed_is_a_fault_until_it_can(tmp_path: Path) -> None:
    async with KubeApi() as api:
        path = api.kubeconfig(tmp_path / "kubeconfig")
        async with ApiClient(path, "", SystemClock()) as connection:
            whole = path.read_text()
            api.token = "new"
            for content in ("", "]:", whole.replace("test", "other"), whole.replace(api.url, "http://127.0.0.1:9")):
                path.write_text(content)
                with pytest.raises(ApiError) as refused:
                    await connection.get_bytes("/api/v1/pods", {})
                assert refused.value.status == 401
            api.kubeconfig(path)
            await connection.get_bytes("/api/v1/pods", {})


async def test_another_current_context_is_not_followed(tmp_path: Path) -> None:
    async with KubeApi() as api, KubeApi() as other:
        path = api.kubeconfig(tmp_path / "kubeconfig")
        async with ApiClient(path, "", SystemClock()) as connection:
            api.token = "new"
            api.kubeconfig(path)
            content = json.loads(path.read_text())
            content["clusters"].append({"name": "other", "cluster": {"server": other.url}})
            content["contexts"].append({"name": "other", "context": {"cluster": "other", "user": "collector"}})
            path.write_text(json.dumps(content | {"current-context": "other"}))
            await connection.get_bytes("/api/v1/pods", {})
            assert not other.calls


async def test_a_certificate_that_is_not_trusted_any_more_is_read_again(tmp_path: Path) -> None:
    async with KubeApi(is_tls=True) as old:
        path = old.kubeconfig(tmp_path / "kubeconfig")
        port = int(old.url.rpartition(":")[2])
        client_ = ApiClient(path, "", SystemClock())
        await client_.__aenter__()
        await client_.get_bytes("/api/v1/pods", {})
    try:
        async with KubeApi(is_tls=True, port=port) as new:
            new.kubeconfig(path)
            await client_.get_bytes("/api/v1/pods", {})
    finally:
        await client_.__aexit__(None, None, None)


@pytest.mark.parametrize("place", ["server", "proxy-url"])
async def test_a_password_in_a_url_is_not_reported(tmp_path: Path, place: str) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=407)

    async with serving(answer) as url:
        with_password = url.replace("//", "//me:CANARY@")
        if place == "server":
            path = kubeconfig(tmp_path / "kubeconfig", with_password)
        else:
            proxy: Json = {"proxy-url": with_password}
            path = kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:9", **proxy)
        async with ApiClient(path, "", SystemClock()) as connection:
            assert "CANARY" not in connection.url
            with pytest.raises(ApiError) as refused:
                await connection.get_bytes("/api/v1/pods", {})
    assert "CANARY" not in str(refused.value)


SHOUTING = "head -c 1000000 /dev/zero >&2; "
CREDENTIAL = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t2"}}


def exec_plugin(script: str) -> Json:
    return {"exec": {"apiVersion": CREDENTIAL["apiVersion"], "command": "sh", "args": ["-c", script]}}


async def test_a_login_plugin_gives_a_token_however_much_it_talks(tmp_path: Path) -> None:
    async with KubeApi() as api:
        api.token = "t2"
        user = exec_plugin(f"{SHOUTING} echo '{json.dumps(CREDENTIAL)}'")
        async with ApiClient(kubeconfig(tmp_path / "k", api.url, user=user), "", SystemClock()) as connection:
            await connection.get_bytes("/api/v1/pods", {})


async def test_a_login_plugin_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin, "DEADLINE_S", MACHINE.limit_s(0.5))
    pid = tmp_path / "pid"
    path = kubeconfig(tmp_path / "k", "http://127.0.0.1:9", user=exec_plugin(f"sleep 99 & echo $! > {pid}; wait"))
    with pytest.raises(ConfigError, match="gave no answer within"):
        async with ApiClient(path, "", SystemClock()):
            pass
    await eventually(lambda: is_over(int(pid.read_text())))


def is_over(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
