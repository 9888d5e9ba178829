"""A QdrantCluster from its creation to its end, as the API server has it."""

from pathlib import Path
from typing import Any

import pytest

from kgents_operator import operate
from support.operated import NAMESPACE, Site, operating
from support.operated_qdrant import QdrantSite
from support.waiting import eventually, stays

pytestmark = pytest.mark.timeout(120)
WHOLE: dict[str, Any] = {
    "replicas": 3,
    "collections": [{"name": "articles", "dimensions": 384}],
    "backup": {"enabled": True, "schedule": "@daily", "destination": {"claimName": "nas"}},
}
PEERS = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/vectors"
CLAIMS = ["data-vectors-0", "data-vectors-1", "data-vectors-2"]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operate, "TOGETHER_S", 0.01)
    monkeypatch.setattr(operate, "FIRST_S", 0.05)


@pytest.fixture
def vectors(site: Site) -> QdrantSite:
    return QdrantSite(site.api, site.client)


def replicas(vectors: QdrantSite) -> int:
    return int(vectors.api.get("statefulsets.apps", NAMESPACE, "vectors")["spec"]["replicas"])


def told(vectors: QdrantSite) -> str:
    """The volumes of others that the first peer knows of."""
    return str(vectors.api.get("configmaps", NAMESPACE, "vectors-config")["data"]["peers"])


async def test_a_resource_becomes_a_first_peer_then_the_others_and_what_belongs_to_them(
    vectors: QdrantSite, kubeconfig: Path
) -> None:
    async with operating(kubeconfig):
        await vectors.create(**WHOLE)
        await eventually(lambda: vectors.condition("Ready")[0] == "False")
        await eventually(lambda: vectors.names("statefulsets.apps") == ["vectors"])
        assert replicas(vectors) == 1, "the first one founds the cluster alone"
        await eventually(vectors.is_ready)
        await eventually(lambda: told(vectors) == "data-vectors-1 data-vectors-2")
    status = vectors.status()
    assert (status["phase"], status["readyReplicas"], status["endpoint"]) == ("Running", 3, "vectors.shop.svc:6333")
    assert {"collections", "collectionCount", "memoryUsage"}.isdisjoint(status), "not known is not zero"
    assert vectors.condition("HighlyAvailable") == ("Unknown", "ByCollection")
    assert vectors.condition("CollectionsMade") == ("Unknown", "NoFigures")
    assert vectors.condition("BackupReady") == ("Unknown", "NoneYet")
    assert vectors.names("secrets") == [f"vectors-qdrant-{each}" for each in ("credentials", "monitor", "tls")]
    assert vectors.names("services") == ["vectors", "vectors-nodes"]
    assert vectors.names("persistentvolumeclaims") == CLAIMS
    assert vectors.names("deployments.apps") == ["vectors-collections"]
    assert vectors.names("cronjobs.batch") == ["vectors-backup"]
    assert vectors.names("poddisruptionbudgets.policy") == ["vectors"]


async def test_what_somebody_changes_is_put_right_unless_it_is_paused(vectors: QdrantSite, kubeconfig: Path) -> None:
    async with operating(kubeconfig):
        await vectors.create()
        await eventually(vectors.is_ready)
        await vectors.client.do("PATCH", PEERS, {"spec": {"replicas": 2}})
        await eventually(lambda: replicas(vectors) == 1)
        await vectors.change({"metadata": {"annotations": {"kgents.io/paused": "true"}}})
        await eventually(lambda: vectors.condition("Paused") == ("True", "Annotated"))
        await vectors.client.do("PATCH", PEERS, {"spec": {"replicas": 0}})
        await stays(lambda: replicas(vectors) == 0, 0.5)


async def test_a_deletion_keeps_data_which_only_as_many_peers_take_again(vectors: QdrantSite, kubeconfig: Path) -> None:
    def key() -> str:
        return str(vectors.api.get("secrets", NAMESPACE, "vectors-qdrant-credentials")["data"]["api-key"])

    async with operating(kubeconfig):
        await vectors.create(**WHOLE)
        await eventually(vectors.is_ready)
        old = key()
        await vectors.delete()
        assert vectors.names("qdrantclusters.kgents.io") == [], "no finalizer holds it"
        await eventually(lambda: vectors.after_controllers("statefulsets.apps") == [])
        assert vectors.names("persistentvolumeclaims") == CLAIMS
        await vectors.create(replicas=2)
        await eventually(lambda: vectors.condition("Accepted") == ("False", "ScaleInRefused"))
        assert vectors.names("statefulsets.apps") == []
        await vectors.change({"spec": {"replicas": 3}})
        await eventually(vectors.is_ready)
        assert key() == old
        await vectors.delete()
        await eventually(lambda: vectors.after_controllers("statefulsets.apps") == [])
        vectors.api.delete("persistentvolumeclaims", NAMESPACE, CLAIMS[0])
        await vectors.create(replicas=3)
        await eventually(lambda: vectors.condition("Accepted") == ("False", "FirstVolumeMissing"))
        assert vectors.names("statefulsets.apps") == []


@pytest.mark.parametrize("api", ["fake"], indirect=True)  # a version that knows no retention of claims keeps them
async def test_data_goes_with_the_resource_where_that_was_asked_for_before(
    vectors: QdrantSite, kubeconfig: Path
) -> None:
    async with operating(kubeconfig):
        await vectors.create(replicas=2, deletionPolicy="Delete")
        await eventually(vectors.is_ready)
        await vectors.delete()
        await eventually(lambda: vectors.after_controllers("persistentvolumeclaims") == [])
    assert "vectors-qdrant-credentials" in vectors.names("secrets")


async def test_volumes_grow_and_more_peers_join(vectors: QdrantSite, kubeconfig: Path) -> None:
    def asked() -> list[str]:
        vectors.controllers.act()
        claims = vectors.api.objects("persistentvolumeclaims", NAMESPACE)
        return [each["spec"]["resources"]["requests"]["storage"] for each in claims]

    async with operating(kubeconfig):
        await vectors.create()
        await eventually(vectors.is_ready)
        template = vectors.api.get("statefulsets.apps", NAMESPACE, "vectors")["spec"]["template"]
        await vectors.change({"spec": {"replicas": 2, "storage": {"size": "2Gi"}}})
        await eventually(lambda: asked() == ["2Gi", "2Gi"])
        await eventually(vectors.is_ready)
    assert vectors.api.get("statefulsets.apps", NAMESPACE, "vectors")["spec"]["template"] == template
