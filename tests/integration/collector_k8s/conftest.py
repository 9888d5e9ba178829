"""An API server with a small Deployment, a NATS server, and the collector as a process between them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support import kube_objects
from support.fixtures import bus, server
from support.kube_api import KubeApi
from support.nats_server import NatsServer
from support.service_process import ServiceProcess

__all__ = ["bus", "server"]


@pytest.fixture
async def api() -> AsyncIterator[KubeApi]:
    async with KubeApi() as api:
        api.create(kube_objects.namespace("shop"))
        api.create(kube_objects.node("node-1"))
        for content in kube_objects.deployment("cart", "shop", replicas=3):
            api.create(content)
        yield api


@pytest.fixture
def collector(server: NatsServer, api: KubeApi, tmp_path: Path) -> ServiceProcess:
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
    return ServiceProcess("collector-k8s", server.url, tmp_path, collector_k8s__kubeconfig=str(kubeconfig))
