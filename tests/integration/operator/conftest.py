"""The API server of the tests, with our definitions."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.kube_api import KubeApi
from support.kubernetes import Kubernetes
from support.operated import Site, served


@pytest.fixture
async def api() -> AsyncIterator[KubeApi]:
    async with KubeApi() as api:
        yield served(api)


@pytest.fixture
def kubeconfig(api: KubeApi, tmp_path: Path) -> Path:
    return api.kubeconfig(tmp_path / "kubeconfig")


@pytest.fixture
async def site(api: KubeApi, kubeconfig: Path) -> AsyncIterator[Site]:
    async with Kubernetes(kubeconfig) as client:
        yield Site(api, client)
