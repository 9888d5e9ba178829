"""A RedisCluster from its creation to its end, as the API server has it."""

from pathlib import Path
from typing import Any

import pytest

from kgents_operator import operate
from support.operated import NAMESPACE, Site, operating
from support.operated_redis import RedisSite
from support.waiting import eventually, stays

pytestmark = pytest.mark.timeout(120)
WHOLE: dict[str, Any] = {
    "replicas": 2,
    "backup": {"enabled": True, "schedule": "@daily", "destination": {"claimName": "nas"}},
}
STAND_IN = pytest.mark.parametrize("api", ["fake"], indirect=True)
"""For what a real cluster cannot be made to do."""
PRIMARY = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/cache"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operate, "TOGETHER_S", 0.01)
    monkeypatch.setattr(operate, "FIRST_S", 0.05)


@pytest.fixture
def cache(site: Site) -> RedisSite:
    return RedisSite(site.api, site.client)


async def test_a_resource_becomes_a_primary_then_replicas_and_what_belongs_to_them(
    cache: RedisSite, kubeconfig: Path
) -> None:
    async with operating(kubeconfig):
        await cache.create(**WHOLE)
        await eventually(lambda: cache.names("statefulsets.apps") == ["cache"])
        await eventually(lambda: cache.condition("Ready")[0] == "False")
        assert cache.names("statefulsets.apps") == ["cache"], "replicas follow a primary that has answered"
        await eventually(cache.is_ready)
    status = cache.status()
    assert (status["phase"], status["readyReplicas"]) == ("Running", 2)
    assert status["endpoint"] == "cache.shop.svc:6379"
    assert status["replicasEndpoint"] == "cache-replicas.shop.svc:6379"
    assert {"memoryUsage", "hitRate", "connections"}.isdisjoint(status), "not known is not zero"
    assert cache.condition("HighlyAvailable") == ("False", "FailoverManual")
    assert "failover is not automatic" in cache.message("HighlyAvailable")
    logins = ("backup", "credentials", "monitor", "replica", "tls")
    assert cache.names("secrets") == [f"cache-redis-{each}" for each in logins]
    assert cache.names("services") == ["cache", "cache-nodes", "cache-replicas"]
    assert cache.names("persistentvolumeclaims") == ["data-cache-0", "data-cache-replicas-0"]
    assert cache.names("cronjobs.batch") == ["cache-backup"]
    assert cache.names("poddisruptionbudgets.policy") == ["cache-replicas"]


async def test_replicas_come_and_go_and_their_volumes_are_named(cache: RedisSite, kubeconfig: Path) -> None:
    async with operating(kubeconfig):
        await cache.create()
        await eventually(cache.is_ready)
        assert cache.condition("HighlyAvailable") == ("False", "OneServer")
        await cache.change({"spec": {"replicas": 3}})
        await eventually(cache.is_ready)
        await cache.change({"spec": {"replicas": 1}})
        await eventually(lambda: cache.condition("VolumesLeft") == ("True", "ScaledIn"))
        await eventually(lambda: cache.names("services") == ["cache", "cache-nodes"])
        assert cache.api.get("statefulsets.apps", NAMESPACE, "cache-replicas")["spec"]["replicas"] == 0
        assert "kubectl delete pvc data-cache-replicas-0 data-cache-replicas-1" in cache.message("VolumesLeft")
        assert cache.names("poddisruptionbudgets.policy") == []
        await cache.change({"spec": {"replicas": 3}})
        await eventually(cache.is_ready)
        assert cache.condition("VolumesLeft") == ("", "")


async def test_what_somebody_changes_is_put_right_unless_it_is_paused(cache: RedisSite, kubeconfig: Path) -> None:
    def replicas() -> int:
        return int(cache.api.get("statefulsets.apps", NAMESPACE, "cache")["spec"]["replicas"])

    async with operating(kubeconfig):
        await cache.create()
        await eventually(cache.is_ready)
        await cache.client.do("PATCH", PRIMARY, {"spec": {"replicas": 3}})
        await eventually(lambda: replicas() == 1)
        await cache.change({"metadata": {"annotations": {"kgents.io/paused": "true"}}})
        await eventually(lambda: cache.condition("Paused") == ("True", "Annotated"))
        await cache.client.do("PATCH", PRIMARY, {"spec": {"replicas": 0}})
        await stays(lambda: replicas() == 0, 0.5)


@pytest.mark.parametrize(("policy", "left"), [("Retain", ["data-cache-0", "data-cache-replicas-0"]), ("Delete", [])])
async def test_a_deletion_keeps_data_unless_asked_and_a_lost_primary_is_not_started_empty(
    cache: RedisSite, kubeconfig: Path, policy: str, left: list[str]
) -> None:
    async with operating(kubeconfig):
        await cache.create(replicas=2, deletionPolicy=policy)
        await eventually(cache.is_ready)
    await cache.delete()
    assert cache.names("redisclusters.kgents.io") == [], "no finalizer holds it"
    await eventually(lambda: cache.after_controllers("statefulsets.apps") == [])
    await eventually(lambda: cache.after_controllers("persistentvolumeclaims") == left)
    if left:
        cache.api.delete("persistentvolumeclaims", NAMESPACE, "data-cache-0")
    async with operating(kubeconfig):
        await cache.create(replicas=2)
        if left:
            await eventually(lambda: cache.condition("Accepted") == ("False", "PrimaryVolumeMissing"))
            assert cache.condition("Ready") == ("False", "PrimaryVolumeMissing")
            assert cache.names("statefulsets.apps") == []
        else:
            await eventually(cache.is_ready)


async def test_volumes_grow_and_a_kept_one_is_never_shrunk(cache: RedisSite, kubeconfig: Path) -> None:
    def asked() -> set[str]:
        claims = cache.api.objects("persistentvolumeclaims", NAMESPACE)
        return {each["spec"]["resources"]["requests"]["storage"] for each in claims}

    async with operating(kubeconfig):
        await cache.create(replicas=2)
        await eventually(cache.is_ready)
        await cache.change({"spec": {"persistence": {"storageSize": "2Gi"}}})
        await eventually(lambda: asked() == {"2Gi"})
        await eventually(cache.is_ready)
        await cache.delete()
        await eventually(lambda: cache.after_controllers("statefulsets.apps") == [])
        await cache.create(replicas=2)
        await eventually(lambda: cache.condition("Accepted") == ("False", "StorageShrinks"))


async def test_one_name_is_of_one_resource(cache: RedisSite, site: Site, kubeconfig: Path) -> None:
    async with operating(kubeconfig):
        await site.create("cache")
        await eventually(lambda: site.is_ready("cache"))
        before = site.children()
        await cache.create()
        await eventually(lambda: cache.condition("Accepted") == ("False", "NameTaken"))
    assert site.children() == before


@STAND_IN
async def test_a_definition_that_is_not_installed_holds_up_no_other_kind(site: Site, kubeconfig: Path) -> None:
    site.stand_in.unserve("redisclusters.kgents.io")
    async with operating(kubeconfig) as operator:
        await site.create()
        await eventually(lambda: site.names("statefulsets.apps") == ["orders"])
        await eventually(lambda: operator.fault == "")
