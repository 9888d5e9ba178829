"""A PostgresCluster from its creation to its end, as the API server has it."""

import copy
import random
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from kgents_operator import operate, reconcile
from kgents_operator.config import Config
from kgents_operator.desired.owner import Owner
from kgents_operator.images import Images
from kgents_operator.plan import plan
from kgents_operator.resources.definitions import POSTGRES
from kgents_shared.kubernetes import retry
from support.kube_api.faults import Fault, Faults
from support.operated import CHILDREN, NAMESPACE, Site, operating, serve_cloudnativepg
from support.waiting import eventually, stays

pytestmark = pytest.mark.timeout(120)
STAND_IN = pytest.mark.parametrize("api", ["fake"], indirect=True)
"""For what a real cluster cannot be made to do."""
STATEFULSET = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/orders"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operate, "TOGETHER_S", 0.01)
    monkeypatch.setattr(operate, "FIRST_S", 0.05)


def notes(site: Site) -> list[str]:
    """What events say."""
    return [str(each.get("note")) for each in site.api.objects("events.events.k8s.io", NAMESPACE)]


async def test_a_resource_becomes_a_server_with_all_that_belongs_to_it(site: Site, kubeconfig: Path) -> None:
    async with operating(kubeconfig):
        await site.create(backup={"enabled": True, "schedule": "30 2 * * *", "destination": {"claimName": "nas"}})
        await eventually(site.is_ready)
        await eventually(lambda: "connect to orders.shop.svc:5432" in notes(site))
    status = site.status()
    assert (status["phase"], status["backend"]) == ("Running", "builtin")
    assert status["endpoint"] == "orders.shop.svc:5432"
    assert status["poolerEndpoint"] == "orders-pooler.shop.svc:6432"
    assert "connections" not in status, "not known is not zero"
    assert site.condition("MetricsAvailable") == ("Unknown", "NoFigures")
    assert site.condition("BackupReady") == ("Unknown", "NoneYet")
    assert site.condition("Drift") == ("False", "AsApplied")
    assert site.names("secrets") == [
        "orders-credentials", "orders-monitor", "orders-pooler", "orders-replicator", "orders-tls",
    ]  # fmt: skip
    assert site.names("services") == ["orders", "orders-pooler"]
    assert site.names("cronjobs.batch") == ["orders-backup"]
    assert site.names("poddisruptionbudgets.policy") == ["orders-pooler"]


APPLIED = ("ConfigMap", "Service", "StatefulSet", "NetworkPolicy", "Service", "Deployment", "PodDisruptionBudget",
           "NetworkPolicy")  # fmt: skip


def contents(site: Site) -> dict[str, Any]:
    """Each object that the operator has made, and the resource, without what the server notes of a write."""
    return {
        f"{resource} {each['metadata']['name']}": each
        | {
            "metadata": {
                key: each["metadata"][key] for key in ("uid", "generation", "labels") if key in each["metadata"]
            }
        }
        for resource in ("postgresclusters.kgents.io", *CHILDREN)
        for each in site.api.objects(resource, NAMESPACE)
    }


async def test_nothing_that_differs_is_written_again_by_an_operator_that_starts_anew(
    site: Site, kubeconfig: Path
) -> None:
    async with operating(kubeconfig):
        await site.create()
        await eventually(site.is_ready)
    before = contents(site)
    with capture_logs() as logs:
        async with operating(kubeconfig):
            await eventually(lambda: len([each for each in logs if each["event"] == "applied"]) == len(APPLIED))
            # Before 1.24 an apply that changes nothing moves a time of its managedFields, and with it the version.
            await stays(lambda: contents(site) == before, 0.5)
    assert len([each for each in logs if each["event"] == "applied"]) == len(APPLIED), "each once"


async def test_what_somebody_changes_or_deletes_is_put_right(site: Site, kubeconfig: Path) -> None:
    async with operating(kubeconfig):
        await site.create()
        await eventually(site.is_ready)
        patch = {"spec": {"replicas": 3}}
        await site.client.do("PATCH", STATEFULSET, patch)
        await eventually(lambda: site.api.get("statefulsets.apps", NAMESPACE, "orders")["spec"]["replicas"] == 1)
        await site.client.do("DELETE", STATEFULSET)
        await eventually(lambda: site.names("statefulsets.apps") == ["orders"])
        await eventually(site.is_ready)
        await site.client.do("DELETE", f"/api/v1/namespaces/{NAMESPACE}/secrets/orders-monitor")
        await site.change({"metadata": {"annotations": {"kgents.io/rotate-credentials": "1"}}})
        await eventually(lambda: any(each.startswith("orders-monitor was made again") for each in notes(site)))
    assert "data-orders-0" in site.names("persistentvolumeclaims"), (
        "a real cluster made some for the replicas that were asked for"
    )


async def test_a_fight_over_a_field_is_said_and_not_fought(
    site: Site, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "CONTESTED", 1)
    async with operating(kubeconfig):
        await site.create()
        await eventually(site.is_ready)
        for count in (4, 5):
            await site.client.do("PATCH", STATEFULSET, {"spec": {"replicas": count}})
            if count == 4:
                await eventually(
                    lambda: site.api.get("statefulsets.apps", NAMESPACE, "orders")["spec"]["replicas"] == 1
                )
        await eventually(lambda: site.condition("Drift") == ("True", "Contested"))
    assert site.api.get("statefulsets.apps", NAMESPACE, "orders")["spec"]["replicas"] == 5


async def test_two_operators_that_know_nothing_of_each_other_do_not_restart_servers_again_and_again(
    site: Site, kubeconfig: Path
) -> None:
    newer = Config(
        kubeconfig=str(kubeconfig), lease_namespace=NAMESPACE, images=Images(postgres_exporter="exporter:0.19")
    )
    with capture_logs() as logs:
        async with operating(kubeconfig), operating(kubeconfig, config=newer):
            await site.create()
            await eventually(lambda: site.condition("Drift") == ("True", "Contested"))
            applied = [each for each in logs if each["event"] == "applied"]
            count = len([each for each in applied if each["kind"] == "StatefulSet"])
            assert count <= 2 + 2 * reconcile.CONTESTED + 1
            await stays(lambda: len([each for each in logs if each.get("kind") == "StatefulSet"]) <= count + 1, 0.5)


async def test_a_container_that_somebody_added_is_named(site: Site, kubeconfig: Path) -> None:
    async with operating(kubeconfig):
        await site.create()
        await eventually(site.is_ready)
        found = site.api.get("statefulsets.apps", NAMESPACE, "orders")
        containers = [*found["spec"]["template"]["spec"]["containers"], {"name": "miner", "image": "evil:1"}]
        await site.client.do("PATCH", STATEFULSET, {"spec": {"template": {"spec": {"containers": containers}}}})
        await eventually(lambda: site.condition("Drift") == ("True", "ForeignContainers"))
    assert "StatefulSet orders: miner" in site.message("Drift")


async def test_switched_off_parts_go_and_come_back(site: Site, kubeconfig: Path) -> None:
    async with operating(kubeconfig):
        await site.create()
        await eventually(site.is_ready)
        await site.change({"spec": {"pooler": {"enabled": False}, "metrics": {"enabled": False}}})
        await eventually(lambda: site.names("deployments.apps") == [])
        await eventually(site.is_ready)
        assert "poolerEndpoint" not in site.status()
        assert site.names("services") == ["orders"]
        (container,) = site.api.get("statefulsets.apps", NAMESPACE, "orders")["spec"]["template"]["spec"]["containers"]
        assert container["name"] == "postgres"
        await site.change({"spec": {"pooler": {"enabled": True}}})
        await eventually(site.is_ready)
    assert site.names("deployments.apps") == ["orders-pooler"]


@pytest.mark.parametrize(("policy", "left"), [("Retain", ["data-orders-0"]), ("Delete", [])])
async def test_a_deletion_never_waits_for_the_operator_and_keeps_data_unless_asked(
    site: Site, kubeconfig: Path, policy: str, left: list[str]
) -> None:
    async with operating(kubeconfig):
        await site.create(deletionPolicy=policy)
        await eventually(site.is_ready)
    await site.delete()
    assert site.names("postgresclusters.kgents.io") == [], "no finalizer holds it"
    await eventually(lambda: site.after_controllers("statefulsets.apps") == [])
    await eventually(lambda: site.after_controllers("persistentvolumeclaims") == left)
    assert "orders-credentials" in site.names("secrets")


async def test_a_volume_of_another_database_is_never_started_on(site: Site, kubeconfig: Path) -> None:
    async with operating(kubeconfig):
        await site.create()
        await eventually(site.is_ready)
        password = site.api.get("secrets", NAMESPACE, "orders-credentials")["data"]["password"]
        await site.delete()
        await eventually(lambda: site.after_controllers("statefulsets.apps") == [])
        await site.create(database="other")
        await eventually(lambda: site.condition("Accepted") == ("False", "VolumeMismatch"))
        assert site.names("statefulsets.apps") == []
        assert site.status()["phase"] == "Failed"
        await site.delete()
        await site.create(storage={"size": "512Mi"})
        await eventually(lambda: site.condition("Accepted") == ("False", "StorageShrinks"))
        await site.delete()
        await site.create()
        await eventually(site.is_ready)
    assert site.api.get("secrets", NAMESPACE, "orders-credentials")["data"]["password"] == password


def claimed(site: Site) -> Any:
    return site.api.get("persistentvolumeclaims", NAMESPACE, "data-orders-0")["spec"]["resources"]["requests"]


async def test_a_volume_grows(site: Site, kubeconfig: Path) -> None:
    async with operating(kubeconfig):
        await site.create()
        await eventually(site.is_ready)
        await site.change({"spec": {"storage": {"size": "2Gi"}}})
        await eventually(lambda: claimed(site) == {"storage": "2Gi"})
        await eventually(site.is_ready)


@STAND_IN
async def test_a_volume_that_cannot_grow_is_said(site: Site, kubeconfig: Path) -> None:
    site.stand_in.expands_volumes = False
    async with operating(kubeconfig):
        await site.create()
        await eventually(site.is_ready)
        await site.change({"spec": {"storage": {"size": "3Gi"}, "resources": {"limits": {"memory": "1Gi"}}}})
        await eventually(lambda: site.condition("StorageResize") == ("False", "Refused"))
        assert "must support resize" in site.message("StorageResize")
        assert (
            "shared_buffers = '256MB'"
            in site.api.get("configmaps", NAMESPACE, "orders-config")["data"]["postgresql.conf"]
        )
        await eventually(site.is_ready)
    assert claimed(site) == {"storage": "1Gi"}


async def test_a_paused_resource_is_left_alone(site: Site, kubeconfig: Path) -> None:
    async with operating(kubeconfig):
        await site.create()
        await eventually(site.is_ready)
        await site.change({"metadata": {"annotations": {"kgents.io/paused": "true"}}})
        await eventually(lambda: site.condition("Paused") == ("True", "Annotated"))
        await site.client.do("DELETE", STATEFULSET)
        await stays(lambda: site.names("statefulsets.apps") == [], 0.5)
        await site.change({"metadata": {"annotations": {"kgents.io/paused": None}}})
        await eventually(lambda: site.names("statefulsets.apps") == ["orders"])
        await eventually(lambda: site.condition("Paused") == ("", ""))


async def test_what_is_somebody_elses_is_never_taken(site: Site, kubeconfig: Path) -> None:
    spec = {"selector": {"a": "b"}, "ports": [{"port": 80}]}
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "orders"}, "spec": spec}
    await site.client.do("POST", f"/api/v1/namespaces/{NAMESPACE}/services", theirs)
    async with operating(kubeconfig):
        await site.create()
        await eventually(lambda: site.condition("Accepted") == ("False", "NameTaken"))
        assert site.names("statefulsets.apps") == site.names("configmaps") == site.names("secrets") == []
    assert site.api.get("services", NAMESPACE, "orders")["spec"]["selector"] == {"a": "b"}


async def test_a_volume_that_is_not_ours_is_never_started_on(site: Site, kubeconfig: Path) -> None:
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data-orders-0"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }  # fmt: skip
    await site.client.do("POST", f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims", claim)
    async with operating(kubeconfig):
        await site.create()
        await eventually(lambda: site.condition("Accepted") == ("False", "NameTaken"))
    assert "PersistentVolumeClaim data-orders-0" in site.message("Accepted")
    assert site.names("statefulsets.apps") == []


async def test_more_replicas_are_a_cluster_of_cloudnativepg_or_nothing(site: Site, kubeconfig: Path) -> None:
    async with operating(
        kubeconfig, config=Config(kubeconfig=str(kubeconfig), lease_namespace=NAMESPACE, sweep_s=5)
    ) as operator:
        await site.create(replicas=3)
        await eventually(lambda: site.condition("Accepted") == ("False", "ReplicasUnsupported"))
        assert site.condition("Ready") == ("False", "ReplicasUnsupported")
        assert site.names("configmaps") == site.names("secrets") == site.names("statefulsets.apps") == []
        serve_cloudnativepg(site)
        operator.touch_all()
        await eventually(lambda: site.names("clusters.postgresql.cnpg.io") == ["orders"])
        cluster = site.api.get("clusters.postgresql.cnpg.io", NAMESPACE, "orders")
        assert cluster["spec"]["instances"] == 3
        assert "ownerReferences" not in cluster["metadata"], "one deletion must not take the data"
        assert site.names("statefulsets.apps") == []
        state = {"readyInstances": 3, "instances": 3, "phase": "Cluster in healthy state"}
        site.api.patch_status("clusters.postgresql.cnpg.io", NAMESPACE, "orders", state)
        await eventually(lambda: site.condition("Ready") == ("True", "Running"))
    assert (site.status()["backend"], site.status()["endpoint"]) == ("cnpg", "orders-rw.shop.svc:5432")


async def test_a_server_of_our_own_is_never_made_into_a_cluster(site: Site, kubeconfig: Path) -> None:
    async with operating(kubeconfig):
        await site.create()
        await eventually(site.is_ready)
        before = site.children()
        await site.change({"spec": {"replicas": 2}})
        await eventually(lambda: site.condition("Accepted") == ("False", "ReplicasUnsupported"))
        assert site.condition("Ready") == ("True", "Running"), "the server goes on"
    assert site.children() == before


@STAND_IN
async def test_a_resource_that_the_operator_fails_on_holds_up_no_other_and_says_so(
    site: Site, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = plan

    def fails(owner: Owner, *rest: Any) -> Any:
        if owner.name == "odd":
            raise KeyError("what nobody thought of")
        return real(owner, *rest)

    monkeypatch.setattr(reconcile, "plan", fails)
    async with operating(kubeconfig):
        await site.create("odd")
        await site.create()
        await eventually(site.is_ready)
        await eventually(lambda: site.condition("Accepted", "odd") == ("Unknown", "Unreadable"))
        assert "KeyError" in site.message("Ready", "odd")
        monkeypatch.setattr(reconcile, "plan", real)
        await eventually(lambda: site.is_ready("odd"))


class Busy(Faults):
    """Has no time for the first writes of a StatefulSet."""

    def __init__(self, times: int) -> None:
        super().__init__(0, {})
        self.left = times
        self._path = ""

    def random_for(self, path: str) -> random.Random:
        self._path = path
        return super().random_for(path)

    def of_request(self, dice: random.Random) -> Fault | None:
        if self._path != STATEFULSET or not self.left:
            return super().of_request(dice)
        self.left -= 1
        return Fault.THROTTLE


@STAND_IN
@pytest.mark.parametrize(("times", "is_said"), [(reconcile.LASTING - 1, False), (reconcile.LASTING + 5, True)])
async def test_a_server_that_is_busy_for_a_moment_is_no_news(
    site: Site, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, times: int, is_said: bool
) -> None:
    monkeypatch.setattr(operate, "LONGEST_S", 0.05)
    site.stand_in.faults = busy = Busy(times)
    async with operating(kubeconfig):
        await site.create()
        await eventually(site.is_ready)
    assert busy.left == 0
    reasons = {str(each.get("reason")) for each in site.api.objects("events.events.k8s.io", NAMESPACE)}
    assert ("NotApplied" in reasons) is is_said


@STAND_IN
async def test_what_cannot_be_read_is_said_and_is_as_found_afterwards(
    site: Site, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operate, "LOOK_S", 0.01)
    monkeypatch.setattr(operate, "DOUBT_S", 0.0)
    for name in ("BACKOFF_FIRST_S", "BACKOFF_MAX_S", "PARK_S"):
        monkeypatch.setattr(retry, name, 0.05)
    async with operating(kubeconfig):
        await site.create()
        await eventually(site.is_ready)
        found = site.status()
        site.stand_in.forbid("statefulsets.apps")
        site.stand_in.cut()  # open watches outlive their right
        await eventually(lambda: site.condition("Ready") == ("Unknown", "Unreadable"))
        assert "statefulsets" in site.message("Ready")
        assert {"phase", "ready"}.isdisjoint(site.status())
        site.stand_in.permit("statefulsets.apps")
        await eventually(site.is_ready)
        after = site.status()
    times = ("conditions",)
    assert {key: each for key, each in after.items() if key not in times} == {
        key: each for key, each in found.items() if key not in times
    }
    assert site.condition("Ready") == ("True", "Running")


@STAND_IN
async def test_a_definition_that_is_older_than_the_operator_gets_the_status_that_it_knows(
    site: Site, kubeconfig: Path
) -> None:
    older = copy.deepcopy(POSTGRES.document())
    status = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    del status["poolerEndpoint"], status["backend"]
    site.stand_in.define(older)
    async with operating(kubeconfig):
        await site.create()
        await eventually(site.is_ready)
    assert {"poolerEndpoint", "backend"}.isdisjoint(site.status())
    assert site.condition("Ready") == ("True", "Running")
