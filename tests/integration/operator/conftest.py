"""An API server with our definitions: our stand-in, and the cluster that KUBECONFIG names.

That one needs kube-controller-manager, and no kubelet. It gets the namespace `shop`, a StorageClass and our
definitions, if it has none of these; they go in the end. One run at a time (`-n 0 -k real`).

`deletionPolicy: Delete` needs Kubernetes 1.27, and a cut that ends by itself 1.21, or the feature TTLAfterFinished of
server and controllers. Where an apiextensions-apiserver of its own serves our kinds beside kube-apiserver, those who
collect garbage and end namespaces must learn of them: apply deploy/kubernetes/crds first, so that they stay, then an
APIService `v1alpha1.kgents.io` with a Service of type ExternalName that leads there, and wait until it is Available.
Without it nothing that has a resource of ours as its owner is deleted, and no namespace ends.
"""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kgents_operator.resources.definitions import DEFINITIONS
from support.kube_api import KubeApi
from support.kubernetes import Kubernetes
from support.operated import CHILDREN, NAMESPACE, Site, served
from support.real_cluster import STORAGE_CLASS, RealCluster
from support.waiting import eventually, eventually_blocking

NO_CLUSTER = pytest.mark.skip(reason="no real cluster to ask: KUBECONFIG is not set")
REAL = pytest.param("real", marks=() if os.environ.get("KUBECONFIG") else NO_CLUSTER)


@pytest.fixture(scope="session")
def cluster() -> Iterator[RealCluster]:
    with RealCluster(Path(os.environ["KUBECONFIG"])) as cluster:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        if cluster.status("POST", "/api/v1/namespaces", namespace) == 409:
            pytest.skip(f"the cluster has a namespace {NAMESPACE}: it may be somebody's")
        new = [each.document()["metadata"]["name"] for each in DEFINITIONS if cluster.define(each.document())]
        try:
            cluster.create(STORAGE_CLASS)
            if not eventually_blocking(lambda: has_account(cluster), 10):
                pytest.skip(f"no controllers: {NAMESPACE} got no ServiceAccount")
            assert all(eventually_blocking(lambda name=each: cluster.is_served(name)) for each in new)  # type: ignore[misc]
            yield cluster
        finally:
            cluster.delete("storageclasses.storage.k8s.io", "", STORAGE_CLASS["metadata"]["name"])  # type: ignore[index]
            for each in new:
                cluster.undefine(each)
            cluster.status("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
            eventually_blocking(lambda: cluster.status("GET", f"/api/v1/namespaces/{NAMESPACE}") == 404, 60)


def has_account(cluster: RealCluster) -> bool:
    return cluster.status("GET", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default") == 200


@pytest.fixture(params=["fake", REAL])
async def api(request: pytest.FixtureRequest) -> AsyncIterator[KubeApi | RealCluster]:
    if request.param == "fake":
        async with KubeApi() as stand_in:
            yield served(stand_in)
        return
    cluster: RealCluster = request.getfixturevalue("cluster")
    yield cluster
    site = Site(cluster, Kubernetes(Path(os.environ["KUBECONFIG"])))
    for resource in (
        *(each.name for each in DEFINITIONS),
        *CHILDREN,
        "pods",
        "jobs.batch",
        "leases.coordination.k8s.io",
    ):
        for name in site.names(resource):
            cluster.delete(resource, NAMESPACE, name)
    cluster.forget_registered()
    await eventually(lambda: not any(site.names(each) for each in ("pods", *CHILDREN)))


@pytest.fixture
def kubeconfig(api: KubeApi | RealCluster, tmp_path: Path) -> Path:
    return api.kubeconfig(tmp_path / "kubeconfig") if isinstance(api, KubeApi) else Path(os.environ["KUBECONFIG"])


@pytest.fixture
async def site(api: KubeApi | RealCluster, kubeconfig: Path) -> AsyncIterator[Site]:
    async with Kubernetes(kubeconfig) as client:
        yield Site(api, client)
