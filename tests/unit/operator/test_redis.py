"""A RedisCluster: what is refused and with which words, what it stands for, and what its status says."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from kgents_operator.desired.outcome import CLAIM, STATEFULSET, Desired, Observed
from kgents_operator.desired.owner import IDENTITY, Owner
from kgents_operator.desired.redis import desired
from kgents_operator.desired.redis_names import RedisNames
from kgents_operator.files import text
from kgents_operator.images import Images
from kgents_operator.redis_status import status
from kgents_operator.resources.definitions import REDIS
from kgents_operator.resources.postgres import Connections
from kgents_operator.resources.redis import RedisCluster, Spec
from kgents_operator.status import Figures, timed
from support.kube_api.definitions import Definition
from support.kube_schemas import VERSIONS, faults
from support.operated import seen
from support.operated_redis import begun, redis

ROOT = Path(__file__).parents[3]
OWNER = Owner("cache", "shop", "u-1", "kgents.io/v1alpha1", "RedisCluster")
BACKUP = {"enabled": True, "schedule": "@daily", "destination": {"claimName": "nas"}}
UP = {"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "readyReplicas": 1}}
Json = dict[str, Any]


def admitted(new: Json, old: Json | None = None) -> Json:
    return Definition(REDIS.document()).admit(new, old, is_strict=False)


def spec_of(**spec: Any) -> Spec:
    return msgspec.convert(redis(**spec), RedisCluster).spec


def whole(**spec: Any) -> Desired[RedisNames]:
    """With a primary that answers already, so that replicas are made."""
    asked = spec_of(**spec)
    return desired(OWNER, asked, {}, begun(OWNER, asked), Images())


def test_every_field_is_filled_in_as_the_struct_has_it() -> None:
    filled = admitted(redis())
    assert filled["spec"] == {
        "replicas": 1,
        "maxMemory": "128mb",
        "evictionPolicy": "allkeys-lru",
        "resources": {"limits": {"cpu": "200m", "memory": "256Mi"}, "requests": {"cpu": "50m", "memory": "128Mi"}},
        "persistence": {"enabled": True, "storageSize": "1Gi"},
        "pubsub": {"enabled": True},
        "backup": {"enabled": False, "keep": 7},
        "metrics": {"enabled": True, "port": 9121},
        "tls": {},
        "deletionPolicy": "Retain",
    }
    assert msgspec.convert(filled, RedisCluster).spec == spec_of()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "spec", [{}, {"replicas": 3, "backup": BACKUP}, {"persistence": {"enabled": False}, "metrics": {"enabled": False}}]
)
def test_the_last_three_versions_of_kubernetes_take_all_of_it(spec: Json, version: str) -> None:
    assert [fault for each in whole(**spec).objects for fault in faults(each, version)] == []


def test_pods_are_held_to_the_restricted_profile_and_have_no_finalizer() -> None:
    documents = whole(replicas=3, backup=BACKUP).objects
    templates = [each["spec"].get("jobTemplate", {}).get("spec", each["spec"]).get("template") for each in documents
                 if "spec" in each]  # fmt: skip
    pods = [each["spec"] for each in templates if each]
    assert len(pods) == 3
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        kinds = {key for volume in pod["volumes"] for key in volume if key != "name"}
        assert kinds <= {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected"}
        for each in pod["containers"]:
            assert each["securityContext"]["allowPrivilegeEscalation"] is False
            assert each["securityContext"]["readOnlyRootFilesystem"] is True
            assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert set(each["resources"]) == {"requests", "limits"}
    assert all(each["metadata"]["ownerReferences"][0]["uid"] == "u-1" for each in documents)
    assert not any("finalizers" in each["metadata"] for each in documents)


def test_more_replicas_do_not_start_the_primary_again() -> None:
    def template(count: int) -> Json:
        (found,) = (each for each in whole(replicas=count).objects if each["metadata"]["name"] == "cache"
                    and each["kind"] == STATEFULSET)  # fmt: skip
        return dict(found["spec"]["template"])

    assert template(1) == template(3)


def running(wanted: Desired[RedisNames], name: str, **status: Any) -> Json:
    """As an API server has it, with all its pods."""
    (found,) = (each for each in wanted.objects if (each["kind"], each["metadata"]["name"]) == (STATEFULSET, name))
    up = {"observedGeneration": 1, "readyReplicas": found["spec"]["replicas"], "updateRevision": "1"}
    metadata = found["metadata"] | {"generation": 1}
    return found | {"metadata": metadata, "status": up | {"currentRevision": "1"} | status}


def test_what_is_new_starts_replicas_first_and_the_primary_when_they_run_with_it() -> None:
    def changed(primary: Json, replicas: Json, annotations: dict[str, str] | None = None, **spec: Any) -> set[str]:
        objects = {(STATEFULSET, "cache"): primary, (STATEFULSET, "cache-replicas"): replicas}
        asked = spec_of(replicas=3, **spec)
        wanted = desired(OWNER, asked, annotations or {}, Observed(objects), Images())
        shown = timed(status(seen(asked, wanted, objects)), {}, "2026-01-01T00:00:00Z")
        assert wanted.is_held == ("PrimaryHeld" in {each["type"] for each in shown["conditions"]})
        return {each["metadata"]["name"] for each in wanted.objects if each["kind"] == STATEFULSET}

    old, new = whole(replicas=3), whole(replicas=3, maxMemory="64mb")
    primary, replicas = (running(old, each) for each in ("cache", "cache-replicas"))
    both, held = {"cache", "cache-replicas"}, {"cache-replicas"}
    assert changed(primary, replicas) == both, "nothing is new"
    assert changed(primary, replicas, maxMemory="64mb") == held
    for behind in ({"readyReplicas": 1}, {"updateRevision": "2"}, {"observedGeneration": 0}):
        assert changed(primary, running(new, "cache-replicas", **behind), maxMemory="64mb") == held
    assert changed(primary, running(new, "cache-replicas"), maxMemory="64mb") == both
    assert changed(running(old, "cache", readyReplicas=0), replicas, maxMemory="64mb") == both, "it has nothing to lose"
    rotated = {"kgents.io/rotate-credentials": "2"}
    assert changed(primary, replicas, rotated) == both, "a replica needs the password of its primary"
    assert changed(primary, replicas, tls={"secretName": "own"}) == both


def test_a_primary_is_told_of_the_replicas_that_have_a_volume() -> None:
    claim = {"kind": CLAIM, "metadata": {"name": "data-cache-replicas-1", "annotations": {IDENTITY: "redis"}},
             "spec": {}}  # fmt: skip
    objects = {(CLAIM, "data-cache-0"): claim, (CLAIM, "data-cache-replicas-1"): claim}
    wanted = desired(OWNER, spec_of(replicas=3), {}, Observed(objects), Images())
    (found,) = (each["data"]["copies"] for each in wanted.objects if each["kind"] == "ConfigMap")
    assert found == "cache-replicas-1.cache-nodes.shop.svc"


@pytest.mark.parametrize(
    ("name", "place"),
    [("redis.conf", "redis"), ("tls.conf", "redis"), ("start", "redis"), ("redis-save", "backup")],
)
def test_files_are_those_of_deploy_databases(name: str, place: str) -> None:
    assert text(name) == (ROOT / "deploy/databases" / place / name).read_text()


def shown(figures: Figures, *, following: int) -> Json:
    spec = spec_of(replicas=2)
    replicas = {"metadata": {}, "status": {"readyReplicas": following}}
    objects = {(STATEFULSET, "cache"): UP, (STATEFULSET, "cache-replicas"): replicas}
    return timed(status(seen(spec, whole(replicas=2), objects, figures)), {}, "2026-01-01T00:00:00Z")


def test_figures_of_the_stream_are_shown_and_its_health_only_lowers_ready() -> None:
    measured = Figures(
        backend="valkey", memory_mb=41.6, hit_rate=0.934, connections=Connections(active=7),
        measured_at="2026-01-01T00:00:00Z",
    )  # fmt: skip
    found = shown(measured, following=1)
    assert (found["memoryUsage"], found["hitRate"], found["connections"]) == ("42Mi", "0.93", 7)
    assert (found["ready"], found["readyReplicas"]) == (True, 2)
    lowered = shown(Figures(critical="memory full"), following=1)
    assert (lowered["ready"], lowered["phase"]) == (False, "Degraded")
    without = shown(Figures(), following=0)
    assert without["ready"] is False
    (ready,) = (each for each in without["conditions"] if each["type"] == "Ready")
    assert ready["reason"] == "ReplicasNotReady"


@pytest.mark.parametrize(
    ("persistence", "reason", "words"),
    [
        ({"enabled": False}, "PersistenceSwitched", "since data-cache-0 of cache was kept"),
        ({"storageClassName": "fast"}, "VolumeMismatch", "to be of the storage class fast, found slow"),
    ],
)
def test_data_of_an_earlier_resource_is_taken_by_the_same_rules(persistence: Json, reason: str, words: str) -> None:
    claim = {"kind": CLAIM, "metadata": {"name": "data-cache-0", "annotations": {IDENTITY: "redis"}},
             "spec": {"storageClassName": "slow"}}  # fmt: skip
    kept = Observed({(CLAIM, "data-cache-0"): claim})
    assert desired(OWNER, spec_of(), {}, kept, Images()).refusal is None
    refused = desired(OWNER, spec_of(persistence=persistence), {}, kept, Images())
    assert refused.refusal is not None
    assert refused.refusal.reason == reason
    assert words in refused.refusal.message
    assert refused.objects == []
