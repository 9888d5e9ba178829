"""What an API server is, said once and asked of two: our stand-in, and the cluster that KUBECONFIG names.

The real one gets a namespace of random name, which is deleted in the end; nothing else is touched. It should be older
than five minutes, so that its first versions are compacted. Nothing here needs a kubelet; tests that need controllers
say so, and skip where there are none.
"""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from support.kube_api import KubeApi
from support.kubernetes import Kubernetes
from support.kubernetes_site import Site
from support.waiting import eventually

CONTROLLERS_WITHIN_S = 10
NO_CLUSTER = pytest.mark.skip(reason="no real cluster to ask: KUBECONFIG is not set")
REAL = pytest.param("real", marks=() if os.environ.get("KUBECONFIG") else NO_CLUSTER)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs_controllers: kube-controller-manager has to run in the real cluster")


@pytest.fixture
async def api() -> AsyncIterator[KubeApi]:
    """Our stand-in alone, for what only it can be asked."""
    async with KubeApi() as api:
        yield api


@pytest.fixture
async def client(api: KubeApi, tmp_path: Path) -> AsyncIterator[Kubernetes]:
    async with Kubernetes(api.kubeconfig(tmp_path / "kubeconfig")) as client:
        yield client


@pytest.fixture(params=["fake", REAL])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        stand_in = None
        if request.param == "fake":
            stand_in = await stack.enter_async_context(KubeApi())
            stand_in.bookmark_interval_s = 1
            kubeconfig = stand_in.kubeconfig(tmp_path / "kubeconfig")
        else:
            kubeconfig = Path(os.environ["KUBECONFIG"])
        client = await stack.enter_async_context(Kubernetes(kubeconfig))
        name = f"kgents-suite-{uuid.uuid4().hex[:8]}"
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await client.do("POST", "/api/v1/namespaces", namespace)
        try:
            if request.node.get_closest_marker("needs_controllers") and not stand_in:
                await wait_for_controllers(client, name)
            await make_account(client, name)
            yield Site(client, name)
        finally:
            answer = await client.request("DELETE", f"/api/v1/namespaces/{name}")
            assert answer.status in (200, 202, 404, 409), answer.text


async def wait_for_controllers(client: Kubernetes, namespace: str) -> None:
    """They show by giving the new namespace a ServiceAccount."""

    async def has_account() -> bool:
        return (await client.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")).status != 404

    try:
        await eventually(has_account, CONTROLLERS_WITHIN_S)
    except AssertionError:
        pytest.skip(f"no controllers: {namespace} got no ServiceAccount within {CONTROLLERS_WITHIN_S} s")


async def make_account(client: Kubernetes, namespace: str) -> None:
    """Pods are only admitted with the ServiceAccount `default`, which a controller would make."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    answer = await client.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
    assert answer.status in (201, 409), answer.text
