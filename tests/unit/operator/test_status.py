"""Ready comes from Kubernetes; the stream's health may only lower it. A change that is not taken is said, and ends."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from kgents_operator import postgres_status, qdrant_status, redis_status
from kgents_operator.answers import CHANGE, again_s
from kgents_operator.desired import postgres, qdrant, redis
from kgents_operator.desired.outcome import CLAIM, STATEFULSET, Observed, Place, Refusal
from kgents_operator.desired.owner import Owner
from kgents_operator.images import Images
from kgents_operator.resources.postgres import PostgresCluster, Status
from kgents_operator.resources.qdrant import QdrantCluster
from kgents_operator.resources.redis import RedisCluster
from kgents_operator.status import ALWAYS, TIME, Figures, Findings, differs, timed, unread
from support import operated
from support.operated import NOW, seen
from support.operated_qdrant import qdrant as qdrant_resource
from support.operated_redis import redis as redis_resource

OWNER = Owner("orders", "shop", "u-1", "kgents.io/v1alpha1", "PostgresCluster")
CACHE = Owner("cache", "shop", "u-2", "kgents.io/v1alpha1", "RedisCluster")
VECTORS = Owner("vectors", "shop", "u-3", "kgents.io/v1alpha1", "QdrantCluster")
SPEC = msgspec.convert(operated.postgres(pooler={"enabled": False}), PostgresCluster).spec
FULL = "database shop/orders-0 uses 100 % of its connections"
Json = dict[str, Any]


def server(ready: int, **status: Any) -> Json:
    """A StatefulSet as Kubernetes has it."""
    state = {"observedGeneration": 1, "readyReplicas": ready, "updateRevision": "1", "currentRevision": "1"}
    return {"metadata": {"generation": 1}, "status": state | status}


def shown(figures: Figures, *, ready_replicas: int, **status: Any) -> Status:
    wanted = postgres.desired(OWNER, SPEC, {}, Observed(), Images())
    return postgres_status.status(
        seen(SPEC, wanted, {(STATEFULSET, "orders"): server(ready_replicas, **status)}, figures)
    )


def ready(found: Status) -> tuple[str, str, str]:
    (answer,) = [each for each in found.conditions if each.type == "Ready"]
    return answer.status, answer.reason, answer.message


def test_a_critical_health_lowers_ready_and_its_end_raises_it_again() -> None:
    critical = shown(Figures(critical=FULL), ready_replicas=1)
    assert (critical.ready, critical.phase, ready(critical)) == (False, "Degraded", ("False", "HealthCritical", FULL))
    well = shown(Figures(), ready_replicas=1)
    assert (well.ready, well.phase, ready(well)[1]) == (True, "Running", "Running")


@pytest.mark.parametrize("figures", [Figures(), Figures(critical=FULL), Figures(fault="NATS is away")])
def test_no_health_makes_a_server_ready_that_does_not_answer(figures: Figures) -> None:
    assert ready(shown(figures, ready_replicas=0))[:2] == ("False", "ServerNotReady")


def test_a_server_without_a_pod_or_a_volume_says_what_it_lacks() -> None:
    found = shown(Figures(), ready_replicas=0, replicas=0)
    assert (ready(found)[1], found.phase) == ("NoPod", "Initializing")
    wanted = postgres.desired(OWNER, SPEC, {}, Observed(), Images())
    pending = {"metadata": {"name": "data-orders-0"}, "status": {"phase": "Pending"}}
    objects = {(STATEFULSET, "orders"): server(0), (CLAIM, "data-orders-0"): pending}
    found = postgres_status.status(seen(SPEC, wanted, objects))
    assert (ready(found)[1], found.phase) == ("VolumePending", "Initializing")
    assert "kubectl describe pvc data-orders-0" in ready(found)[2]


class Changing:
    """A resource whose pods are to take a change, as its status goes on from run to run."""

    def __init__(self, kind: str) -> None:
        self.status: Json = {}
        self._kind = kind

    def run(
        self, objects: Mapping[Place, Json], after: timedelta, *, generation: int = 1
    ) -> dict[str, tuple[str, str]]:
        """Status and reason of its conditions."""
        kinds: dict[str, tuple[Any, Any, Any, Any]] = {
            "postgres": (OWNER, SPEC, postgres.desired, postgres_status.status),
            "redis": (CACHE, msgspec.convert(redis_resource(replicas=3), RedisCluster).spec, redis.desired,
                      redis_status.status),
            "qdrant": (VECTORS, msgspec.convert(qdrant_resource(replicas=3), QdrantCluster).spec, qdrant.desired,
                       qdrant_status.status),
        }  # fmt: skip
        owner, spec, desired, status = kinds[self._kind]
        wanted, now = desired(owner, spec, {}, Observed(), Images()), NOW + after
        found = status(seen(spec, wanted, objects, before=self.status, now=now, generation=generation))
        self.status = timed(found, self.status, now.strftime(TIME))
        return {each["type"]: (each["status"], each["reason"]) for each in self.status["conditions"]}


@pytest.mark.parametrize(
    ("kind", "name", "well", "stopped"),
    [("postgres", "orders", 1, 0), ("qdrant", "vectors", 3, 2), ("redis", "cache", 1, 0)],
)
def test_a_change_that_pods_do_not_take_has_stopped_after_its_time_until_it_is_undone(
    kind: str, name: str, well: int, stopped: int
) -> None:
    others = {(STATEFULSET, "cache-replicas"): server(2)} if kind == "redis" else {}
    before, behind = server(well), server(stopped, updateRevision="2")
    resource = Changing(kind)
    assert "Progressing" not in resource.run({(STATEFULSET, name): before, **others}, timedelta())
    found = resource.run({(STATEFULSET, name): behind, **others}, timedelta())
    assert found["Progressing"] == ("True", "Changing"), "every planned change begins so"
    assert found["Ready"] == ("False", "Changing")
    again = again_s(resource.status, NOW)
    assert again is not None
    assert CHANGE.total_seconds() <= again <= CHANGE.total_seconds() + 2, "and is judged again then"
    for after in (CHANGE, CHANGE * 2, CHANGE * 50):
        found = resource.run({(STATEFULSET, name): behind, **others}, after)
        assert (found["Progressing"], found["Ready"]) == (("False", "ChangeNotTaken"), ("False", "ChangeNotTaken"))
        assert again_s(resource.status, NOW + after) is None
    found = resource.run({(STATEFULSET, name): server(stopped), **others}, CHANGE * 51)
    assert "Progressing" not in found, "it was undone"
    assert found["Ready"][1] in ("ServerNotReady", "PeersNotReady")
    assert resource.run({(STATEFULSET, name): before, **others}, CHANGE * 52)["Ready"] == ("True", "Running")


def test_another_change_has_its_own_time_and_one_that_is_taken_ends() -> None:
    resource, behind = Changing("postgres"), {(STATEFULSET, "orders"): server(0, updateRevision="2")}
    resource.run(behind, timedelta())
    assert resource.run(behind, CHANGE)["Progressing"] == ("False", "ChangeNotTaken")
    assert resource.run(behind, CHANGE, generation=2)["Progressing"] == ("True", "Changing")
    assert "Progressing" not in resource.run({(STATEFULSET, "orders"): server(1)}, CHANGE * 2, generation=2)


def test_replicas_and_a_pooler_that_do_not_take_a_change_are_said_while_the_server_serves() -> None:
    cache = Changing("redis")
    objects = {(STATEFULSET, "cache"): server(1), (STATEFULSET, "cache-replicas"): server(1, updateRevision="2")}
    cache.run(objects, timedelta())
    assert cache.run(objects, CHANGE)["Progressing"] == ("False", "ChangeNotTaken")
    spec = msgspec.convert(operated.postgres(), PostgresCluster).spec
    wanted = postgres.desired(OWNER, spec, {}, Observed(), Images())
    pooler = {"metadata": {}, "status": {"replicas": 3, "updatedReplicas": 1, "availableReplicas": 2}}
    objects = {(STATEFULSET, "orders"): server(1), ("Deployment", "orders-pooler"): pooler}
    before = timed(postgres_status.status(seen(spec, wanted, objects)), {}, NOW.strftime(TIME))
    found = postgres_status.status(seen(spec, wanted, objects, before=before, now=NOW + CHANGE))
    assert found.ready is True
    (answer,) = (each for each in found.conditions if each.type == "Progressing")
    assert (answer.status, answer.reason) == ("False", "ChangeNotTaken")
    assert answer.message.startswith("Deployment orders-pooler: after 10 minutes")


def test_what_cannot_be_read_is_neither_ready_nor_failed() -> None:
    before = timed(shown(Figures(), ready_replicas=1), {}, "2026-01-01T00:00:00Z")
    after = unread(before, "pods: 403 Forbidden", "2026-01-02T00:00:00Z")
    assert "ready" not in after
    assert "phase" not in after
    assert after["endpoint"] == before["endpoint"], "clients go on"
    found = {each["type"]: each for each in after["conditions"]}
    assert set(found) == set(ALWAYS)
    assert {(each["status"], each["reason"]) for each in found.values()} == {("Unknown", "Unreadable")}
    assert found["Ready"]["message"].startswith("pods: 403 Forbidden; ")
    assert found["Ready"]["lastTransitionTime"] == "2026-01-02T00:00:00Z"
    assert found["MetricsAvailable"]["lastTransitionTime"] == "2026-01-01T00:00:00Z", "it was unknown before"
    assert unread(after, "pods: 403 Forbidden", "2026-01-03T00:00:00Z") == after


def answers(found: Status) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in found.conditions}


@pytest.mark.parametrize(
    "findings",
    [
        Findings(is_paused=True),
        Findings(fault="403 Forbidden"),
        Findings(refusal=Refusal("NameTaken", "somebody else's")),
    ],
)
def test_what_was_not_compared_is_not_claimed_to_be_as_applied(findings: Findings) -> None:
    wanted = postgres.desired(OWNER, SPEC, {}, Observed(), Images())
    found = seen(SPEC, wanted, {(STATEFULSET, "orders"): server(1)})
    shown = answers(postgres_status.status(msgspec.structs.replace(found, findings=findings)))
    assert shown["Drift"] == ("Unknown", "NotCompared")
    assert shown["Accepted"] in (("Unknown", "Paused"), ("Unknown", "NotApplied"), ("False", "NameTaken"))
    assert shown["Ready"] == ("True", "Running"), "which Kubernetes says"


def test_a_volume_grows_until_it_has_grown() -> None:
    wanted = postgres.desired(OWNER, SPEC, {}, Observed(), Images())

    def grown(has: str, *conditions: Json) -> dict[str, Any]:
        requests = {"resources": {"requests": {"storage": "2Gi"}}}
        status = {"capacity": {"storage": has}, "conditions": list(conditions)}
        claim = {"metadata": {"name": "data-orders-0"}, "spec": requests, "status": status}
        objects = {(STATEFULSET, "orders"): server(1), (CLAIM, "data-orders-0"): claim}
        return {each.type: each for each in postgres_status.status(seen(SPEC, wanted, objects)).conditions}

    growing = grown("1Gi", {"type": "FileSystemResizePending", "message": "waiting for the pod to start again"})
    assert (growing["StorageResize"].status, growing["StorageResize"].reason) == ("Unknown", "Growing")
    assert growing["StorageResize"].message.endswith(
        "the volume data-orders-0 has 1Gi; waiting for the pod to start again"
    )
    assert "StorageResize" not in grown("2Gi")


def test_the_same_figures_are_not_written_each_time_they_are_measured() -> None:
    before = {"ready": True, "measuredAt": "2026-01-01T00:00:00Z"}
    assert not differs(before, before | {"measuredAt": "2026-01-01T00:04:59Z"})
    assert differs(before, before | {"measuredAt": "2026-01-01T00:05:00Z"}), "now and then, so that they are not old"
    assert differs(before, before | {"measuredAt": "2026-01-01T00:00:30Z", "ready": False})
    assert differs(before, {"ready": True})
    assert not differs({"ready": True}, {"ready": True})


def test_a_resource_without_a_status_and_a_paused_one_say_what_they_can() -> None:
    found = unread({}, "pods: 403 Forbidden", "2026-01-02T00:00:00Z")["conditions"]
    assert [each["type"] for each in found] == list(ALWAYS)
    paused = {"type": "Paused", "status": "True", "reason": "Annotated", "message": "…", "lastTransitionTime": "…"}
    assert unread({"conditions": [paused]}, "pods: 403", "2026-01-02T00:00:00Z")["conditions"][-1] == paused
