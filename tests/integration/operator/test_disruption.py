"""A Disruption from its dry run to its end: pods and network policies as the API server has them, records on NATS."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kgents_operator import disrupter, operate
from kgents_operator.config import Config
from kgents_operator.desired import timer
from kgents_operator.rights import roles
from kgents_shared.bus.audit import record_one
from kgents_shared.bus.client import Bus
from kgents_shared.contract.audit import DISRUPT, AuditRecord
from support.audit import records
from support.fixtures import bus, server
from support.kube_api import KubeApi
from support.operated import NAMESPACE, Site, operating
from support.operated_disruption import DisruptionSite
from support.operated_redis import RedisSite
from support.waiting import eventually

__all__ = ["bus", "server"]
pytestmark = pytest.mark.timeout(120)
CUT: dict[str, Any] = {"action": "CutNetwork", "allowLastReplica": True, "durationSeconds": 3600}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operate, "TOGETHER_S", 0.01)
    monkeypatch.setattr(operate, "FIRST_S", 0.05)
    monkeypatch.setattr(disrupter, "AGAIN_S", 0.1)


@pytest.fixture
async def cache(site: Site) -> RedisSite:
    cache = RedisSite(site.api, site.client)
    await cache.create(replicas=3)
    return cache


@pytest.fixture
def drill(site: Site) -> DisruptionSite:
    return DisruptionSite(site.api, site.client)


def switched_on(kubeconfig: Path) -> Config:
    return Config(kubeconfig=str(kubeconfig), lease_namespace=NAMESPACE, disruptions=True)


async def disrupted(bus: Bus) -> list[AuditRecord]:
    """What is recorded of it."""
    return [each for each in await records(bus) if each.action == DISRUPT]


def uid_of(site: Site, pod: str) -> str:
    found = {each["metadata"]["name"]: each["metadata"]["uid"] for each in site.api.objects("pods", NAMESPACE)}
    return str(found.get(pod, ""))


def let_in(site: Site) -> int:
    """How many rules let somebody in."""
    policy = site.api.get("networkpolicies.networking.k8s.io", NAMESPACE, "cache-database")
    return len(policy["spec"].get("ingress") or [])


async def test_after_a_dry_run_one_pod_is_deleted_and_both_its_records_are_there(
    cache: RedisSite, drill: DisruptionSite, kubeconfig: Path, bus: Bus
) -> None:
    await drill.create()
    if isinstance(drill.api, KubeApi):
        for each in roles(switched_on(kubeconfig)):
            drill.stand_in.authorize(
                each, *([each["metadata"]["namespace"]] if "namespace" in each["metadata"] else [])
            )
    async with operating(kubeconfig, config=switched_on(kubeconfig), record=partial(record_one, bus)):
        await eventually(cache.is_ready)
        await eventually(lambda: drill.condition("Accepted") == ("True", "DryRun"))
        assert drill.status()["phase"] == "Planned"
        (victim,) = drill.status()["pods"]
        assert victim == {"name": "cache-replicas-0", "uid": uid_of(cache, "cache-replicas-0")}
        assert await disrupted(bus) == [], "nothing was done"
        drill.api.patch("disruptions.kgents.io", NAMESPACE, "drill", {"spec": {"dryRun": False}})
        await eventually(lambda: drill.status().get("phase") == "Ended")

        async def are_both_there() -> bool:
            return [each.stage for each in await disrupted(bus)] == ["begun", "done"]

        await eventually(are_both_there)
    assert uid_of(cache, "cache-replicas-0") != victim["uid"]
    begun, done = await disrupted(bus)
    assert (begun.action, begun.by, begun.id) == ("disrupt", "Disruption shop/drill", done.id)
    assert begun.target == "RedisCluster shop/cache"
    assert begun.text == "DeletePod of cache-replicas-0: to see the alert"
    assert done.after == {"ended": "Deleted"}


async def test_a_cut_ends_where_no_operator_is_left(
    cache: RedisSite, drill: DisruptionSite, kubeconfig: Path, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timer, "GRACE_S", 0)
    config = switched_on(kubeconfig)
    async with operating(kubeconfig, config=config, record=partial(record_one, bus)):
        await eventually(cache.is_ready)
        await drill.create(**CUT | {"durationSeconds": 20})
        await eventually(lambda: drill.condition("Accepted") == ("True", "DryRun"))
        assert drill.api.objects("jobs.batch", NAMESPACE) == [], "of a dry run nothing is made"
        await drill.change({"spec": {"dryRun": False}})
        await eventually(lambda: let_in(cache) == 0)
    (job,) = drill.api.objects("jobs.batch", NAMESPACE)
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (0, 0), "no pod is made"
    assert job["spec"]["ttlSecondsAfterFinished"] == 20
    assert drill.status()["timer"] == {"name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
    assert job["metadata"]["ownerReferences"][0]["uid"] == drill.resource()["metadata"]["uid"]
    if isinstance(drill.api, KubeApi):  # which a real cluster does by itself
        drill.api.delete("jobs.batch", NAMESPACE, job["metadata"]["name"])
    policies = "networkpolicies.networking.k8s.io"
    await eventually(lambda: "cache-database" not in cache.after_controllers(policies), 60)


@pytest.mark.parametrize("end", ["abort", "delete", "time", "while paused", "while refused"])
async def test_a_network_is_cut_for_its_time_alone(
    cache: RedisSite, drill: DisruptionSite, kubeconfig: Path, bus: Bus, end: str
) -> None:
    async with operating(kubeconfig, config=switched_on(kubeconfig), record=partial(record_one, bus)):
        await eventually(cache.is_ready)
        before = let_in(cache)
        assert before > 0
        await drill.create(**CUT | ({"durationSeconds": 2} if end == "time" else {}))
        await eventually(lambda: drill.condition("Accepted") == ("True", "DryRun"))
        assert len(drill.status()["pods"]) == 3, "the servers have one policy together"
        await drill.change({"spec": {"dryRun": False}})
        if end != "time":  # which may be over before anyone has seen it
            await eventually(lambda: let_in(cache) == 0)
        if end == "while paused":
            await cache.change({"metadata": {"annotations": {"kgents.io/paused": "true"}}})
            await eventually(lambda: cache.condition("Paused") == ("True", "Annotated"))
        elif end == "while refused":
            cache.api.delete("persistentvolumeclaims", NAMESPACE, "data-cache-0")
            await eventually(lambda: cache.condition("Accepted") == ("False", "PrimaryVolumeMissing"))
        if end in ("abort", "while paused", "while refused"):
            await drill.change({"spec": {"abort": True}})
            await eventually(lambda: drill.status()["phase"] == "Aborted")
        elif end == "delete":
            await drill.delete()
        else:
            await eventually(lambda: drill.condition("Accepted") == ("True", "TimeOver"))
        await eventually(lambda: let_in(cache) == before)
        policy = cache.api.get("networkpolicies.networking.k8s.io", NAMESPACE, "cache-database")
        assert [each["kind"] for each in policy["metadata"]["ownerReferences"]] == ["RedisCluster"]


async def test_what_cannot_be_recorded_is_not_done_and_an_operator_that_starts_anew_ends_what_was_begun(
    cache: RedisSite, drill: DisruptionSite, kubeconfig: Path, bus: Bus
) -> None:
    config = switched_on(kubeconfig)
    stands_by: list[bool] = []
    async with operating(kubeconfig, config=config, has_standby=lambda: bool(stands_by)):
        await eventually(cache.is_ready)
        before = let_in(cache)
        await drill.create(**CUT)
        await eventually(lambda: drill.condition("Accepted") == ("False", "NotNow"))
        assert "expected a second operator that stands by" in drill.message("Accepted")
        stands_by.append(True)
        await eventually(lambda: drill.condition("Accepted") == ("True", "DryRun"))
        await drill.change({"spec": {"dryRun": False}})
        await eventually(lambda: drill.condition("Accepted") == ("False", "NotRecorded"))
        assert let_in(cache) == before
    async with operating(kubeconfig, config=config, record=partial(record_one, bus)):
        await eventually(lambda: let_in(cache) == 0)
    await drill.change({"spec": {"abort": True}})
    assert let_in(cache) == 0, "no operator runs"
    async with operating(kubeconfig, config=config, record=partial(record_one, bus)):
        await eventually(lambda: let_in(cache) == before)
        await eventually(lambda: drill.status()["phase"] == "Aborted")


@pytest.mark.parametrize("api", ["fake"], indirect=True)
async def test_it_is_off_by_default(cache: RedisSite, drill: DisruptionSite, kubeconfig: Path) -> None:
    await drill.create()
    async with operating(kubeconfig):
        await eventually(cache.is_ready)
    assert drill.status() == {}
    assert not [call for call in drill.stand_in.calls if call.verb in ("list", "watch") and "pods" in call.resource]
