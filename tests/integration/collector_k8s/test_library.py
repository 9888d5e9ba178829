"""kubernetes-asyncio as the collector imports it, without its models, logs in as it does with them."""

import asyncio
import base64
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web

from support.k8s_peer import Json, kubeconfig, serving
from support.process import spawn_async
from support.waiting import within

TESTS = Path(__file__).parents[2]
API = "client.authentication.k8s.io/v1"
URL = "https://127.0.0.1:9"
POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def logins(mode: str, *paths: Path) -> Any:
    """What a process of its own reads."""
    command = [sys.executable, "-m", "support.k8s_logins", mode, *map(str, paths)]
    process = await spawn_async(*command, cwd=TESTS, env={**os.environ, **POD}, stdout=asyncio.subprocess.PIPE)
    async with within(60):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(out)


async def identity_provider(request: web.Request) -> web.StreamResponse:
    if request.path.endswith("/openid-configuration"):
        return web.json_response({"token_endpoint": str(request.url.with_path("/token"))})
    given = await request.post()
    assert given["refresh_token"] == "r1"
    return web.json_response({"id_token": "fresh", "refresh_token": "r2"})


def of_identity_provider(url: str) -> Json:
    expired = f"e30.{encoded(json.dumps({'exp': 1}))}.x"
    settings = {
        "client-id": "c", "client-secret": "s", "idp-issuer-url": url, "id-token": expired, "refresh-token": "r1",
    }  # fmt: skip
    return {"auth-provider": {"name": "oidc", "config": settings}}


def of_plugin(status: Mapping[str, str]) -> Json:
    credential = json.dumps({"apiVersion": API, "kind": "ExecCredential", "status": status})
    return {"exec": {"apiVersion": API, "command": "sh", "args": ["-c", f"echo '{credential}'"]}}


def service_account(folder: Path, authority: str) -> Path:
    """Written before each reading, which renews the token."""
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text("of a pod")
    (folder / "ca.crt").write_text(authority)
    return folder


async def test_every_login_is_the_same_without_a_model(tmp_path: Path) -> None:
    authority = trustme.CA()
    trusted = authority.cert_pem.bytes().decode()
    issued = authority.issue_cert("collector")
    key, certificate = issued.private_key_pem.bytes().decode(), issued.cert_chain_pems[0].bytes().decode()
    (tmp_path / "token").write_text("of a file")
    async with serving(identity_provider) as provider:
        users: Mapping[str, Json] = {
            "token": {"token": "t", "as": "jane"},
            "file": {"tokenFile": "token"},
            "certificate": {
                "client-certificate-data": encoded(certificate),
                "client-key-data": encoded(key),
            },
            "password": {"username": "u", "password": "p"},
            "plugin": of_plugin({"token": "of a plugin"}),
            "plugin with a certificate": of_plugin({"clientCertificateData": "a", "clientKeyData": "b"}),
            "provider": of_identity_provider(provider),
        }
        cluster: Json = {
            "certificate-authority-data": encoded(trusted),
            "tls-server-name": "api", "proxy-url": "http://proxy", "insecure-skip-tls-verify": True,
        }  # fmt: skip
        paths = [kubeconfig(tmp_path / f"of {name}", URL, user=user, **cluster) for name, user in users.items()]
        found = {}
        for mode in ("postponed", "whole"):
            account = service_account(tmp_path / "account", trusted)
            found[mode] = await logins(mode, *paths, account)

    assert found["postponed"]["logins"] == found["whole"]["logins"]
    assert found["postponed"]["models"] == [0, 0]
    assert min(found["whole"]["models"]) > 500
    *of_users, of_pod = found["postponed"]["logins"]
    by_name = dict(zip(users, of_users, strict=True))
    assert {name: each["sent"] for name, each in by_name.items()} == {
        "token": ["Bearer t"],
        "file": ["Bearer of a file"],
        "certificate": [],
        "password": [f"Basic {encoded('u:p')}"],
        "plugin": ["Bearer of a plugin"],
        "plugin with a certificate": [],
        "provider": ["Bearer fresh"],
    }
    assert by_name["token"]["headers"] == [["Impersonate-User", "jane"]]
    assert (by_name["certificate"]["cert_file"], by_name["certificate"]["key_file"]) == (certificate, key)
    of_a_plugin = by_name["plugin with a certificate"]
    assert (of_a_plugin["cert_file"], of_a_plugin["key_file"]) == ("a", "b")
    for each in of_users:
        assert (each["host"], each["ssl_ca_cert"], each["context"]) == (URL, trusted, "x")
        assert (each["tls_server_name"], each["proxy"], each["verify_ssl"]) == ("api", "http://proxy", False)
    assert (of_pod["host"], of_pod["ssl_ca_cert"]) == ("https://10.0.0.1:443", trusted)
    assert (of_pod["api_key"], of_pod["sent"]) == ({"BearerToken": "Bearer of a pod"}, ["Bearer renewed"])


async def test_who_wants_a_model_in_the_same_process_has_it() -> None:
    code = """
        import kgents_collector_k8s.app
        from kgents_shared.kubernetes import library
        from kubernetes_asyncio import client, config, watch
        from kubernetes_asyncio.client import ApiClient, Configuration
        from kubernetes_asyncio.config import kube_config
        assert not library.models()
        assert client.models.V1Pod is client.V1Pod
        assert client.ApiClient is ApiClient is kube_config.ApiClient
        assert client.Configuration is Configuration is library.Configuration
        assert watch.Watch and client.CoreV1Api and library.models() > 500
        from kubernetes_asyncio.client import *
        assert V1Service and AppsV1Api
    """
    code = "\n".join(map(str.strip, code.splitlines()))
    process = await spawn_async(sys.executable, "-c", code)
    async with within(60):
        assert await process.wait() == 0
