"""Laws of the operator's plan: it ends, it takes no data, and what it does not know it does not touch."""

import copy
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kgents_operator.desired.outcome import Desired, Observed, Place
from kgents_operator.desired.owner import DESIRED, Owner
from kgents_operator.desired.postgres import desired
from kgents_operator.desired.qdrant import desired as qdrant_desired
from kgents_operator.desired.redis import desired as redis_desired
from kgents_operator.images import Images
from kgents_operator.live import Live, Mark
from kgents_operator.plan import Apply, Grow, Remove, plan
from kgents_operator.resources.postgres import PostgresCluster
from kgents_operator.resources.qdrant import QdrantCluster
from kgents_operator.resources.redis import RedisCluster
from support.operated import postgres
from support.operated_qdrant import qdrant
from support.operated_redis import redis

OWNER = Owner("orders", "shop", "u-1", "kgents.io/v1alpha1", "PostgresCluster")
CACHE = Owner("cache", "shop", "u-2", "kgents.io/v1alpha1", "RedisCluster")
VECTORS = Owner("vectors", "shop", "u-3", "kgents.io/v1alpha1", "QdrantCluster")
DATA = {"StatefulSet", "PersistentVolumeClaim", "Cluster", "Secret"}
UNITS = {"1Gi": 1.0, "1536Mi": 1.5, "2Gi": 2.0}
Json = dict[str, Any]

specs = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.integers(1, 3),
        "storage": st.fixed_dictionaries({"size": st.sampled_from(["1Gi", "2Gi", "1536Mi"])}),
        "pooler": st.fixed_dictionaries({"enabled": st.booleans()}),
        "metrics": st.fixed_dictionaries({"enabled": st.booleans()}),
        "deletionPolicy": st.sampled_from(["Retain", "Delete"]),
        "backup": st.just({"enabled": True, "schedule": "@daily", "destination": {"claimName": "nas"}}),
    },
)


redis_specs = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.integers(1, 3),
        "persistence": st.fixed_dictionaries({"storageSize": st.sampled_from(["1Gi", "2Gi", "1536Mi"])}),
        "metrics": st.fixed_dictionaries({"enabled": st.booleans()}),
        "deletionPolicy": st.sampled_from(["Retain", "Delete"]),
        "backup": st.just({"enabled": True, "schedule": "@daily", "destination": {"claimName": "nas"}}),
    },
)


qdrant_specs = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.integers(1, 4),
        "storage": st.fixed_dictionaries({"size": st.sampled_from(["1Gi", "2Gi", "1536Mi"])}),
        "collections": st.just([{"name": "articles", "dimensions": 384}]),
        "deletionPolicy": st.sampled_from(["Retain", "Delete"]),
        "backup": st.just({"enabled": True, "schedule": "@daily", "destination": {"claimName": "nas"}}),
    },
)


class Cluster:
    """What an API server would have after the steps."""

    def __init__(self) -> None:
        self.found: dict[Place, Live] = {}
        self.applied: dict[Place, Mark] = {}

    def step(self, spec: Json, *, is_cnpg_served: bool | None) -> list[Any]:
        """One run; returns its steps."""
        wanted = desired(
            OWNER,
            msgspec.convert(postgres(**spec), PostgresCluster).spec,
            {},
            Observed({place: each.content for place, each in self.found.items()}, is_cnpg_served),
            Images(),
        )
        return self.carried_out(OWNER, wanted)

    def redis_step(self, spec: Json) -> list[Any]:
        """One run for a RedisCluster, whose primary answers once it is made."""
        objects = {place: each.content for place, each in self.found.items()}
        asked = msgspec.convert(redis(**spec), RedisCluster).spec
        return self.carried_out(CACHE, redis_desired(CACHE, asked, {}, Observed(objects), Images()))

    def qdrant_step(self, spec: Json) -> list[Any]:
        """One run for a QdrantCluster, whose first peer answers once it is made."""
        objects = {place: each.content for place, each in self.found.items()}
        asked = msgspec.convert(qdrant(**spec), QdrantCluster).spec
        return self.carried_out(VECTORS, qdrant_desired(VECTORS, asked, {}, Observed(objects), Images()))

    def carried_out(self, owner: Owner, wanted: Desired[Any]) -> list[Any]:
        steps = plan(owner, wanted, self.found, self.applied)
        for each in steps:
            self._carry_out(each)
        return list(steps)

    def _carry_out(self, step: Apply | Remove | Grow) -> None:
        if isinstance(step, Remove):
            del self.found[step.place]
        elif isinstance(step, Grow):
            place = "PersistentVolumeClaim", step.claim
            content = copy.deepcopy(self.found[place].content)
            content["spec"]["resources"]["requests"]["storage"] = step.size
            self.found[place] = Live(content, "")
        else:
            is_server = step.place[0] == "StatefulSet"
            up = {"status": {"readyReplicas": step.document["spec"]["replicas"]}} if is_server else {}
            self.found[step.place] = Live(copy.deepcopy(step.document) | up, "ours")
            self.applied[step.place] = self.found[step.place].mark
            if step.place[0] == "StatefulSet":
                self._claim(step.document)

    def _claim(self, statefulset: Json) -> None:
        (template,) = statefulset["spec"]["volumeClaimTemplates"]
        for ordinal in range(statefulset["spec"]["replicas"]):
            claim = copy.deepcopy(template)
            claim["metadata"]["name"] = f"data-{statefulset['metadata']['name']}-{ordinal}"
            self.found.setdefault(("PersistentVolumeClaim", claim["metadata"]["name"]), Live(claim, ""))


@given(st.lists(st.tuples(specs, st.sampled_from([True, False, None])), min_size=1, max_size=5))
def test_a_plan_ends_and_takes_no_data(runs: list[tuple[Json, bool | None]]) -> None:
    cluster = Cluster()
    for spec, is_cnpg_served in runs:
        data = {place for place in cluster.found if place[0] in DATA}
        sizes = _sizes(cluster)
        for _ in range(2):
            steps = cluster.step(spec, is_cnpg_served=is_cnpg_served)
            assert not [each for each in steps if isinstance(each, Remove) and each.place[0] in DATA]
        assert cluster.step(spec, is_cnpg_served=is_cnpg_served) == []
        assert data <= set(cluster.found)
        assert all(_sizes(cluster)[name] >= size for name, size in sizes.items()), "no volume shrinks"
        kinds = {place[0] for place in cluster.found}
        assert not {"StatefulSet", "Cluster"} <= kinds, "one of them runs the server"


@given(st.lists(redis_specs, min_size=1, max_size=5))
def test_a_plan_for_redis_ends_too_and_the_primary_stays_one(runs: list[Json]) -> None:
    cluster = Cluster()
    for spec in runs:
        data, sizes = {place for place in cluster.found if place[0] in DATA}, _sizes(cluster)
        for _ in range(5):  # the primary, its replicas, what is told of their volumes, volumes that grow
            steps = cluster.redis_step(spec)
            assert not [each for each in steps if isinstance(each, Remove) and each.place[0] in DATA]
        assert cluster.redis_step(spec) == []
        assert data <= set(cluster.found)
        assert all(_sizes(cluster)[name] >= size for name, size in sizes.items()), "no volume shrinks"
        assert cluster.found["StatefulSet", "cache"].content["spec"]["replicas"] == 1


@given(st.lists(qdrant_specs, min_size=1, max_size=5))
def test_a_plan_for_qdrant_ends_too_and_peers_never_become_fewer(runs: list[Json]) -> None:
    cluster, peers = Cluster(), 0
    for spec in runs:
        data, sizes = {place for place in cluster.found if place[0] in DATA}, _sizes(cluster)
        for _ in range(4):  # the first peer, the others, what is told of their volumes, and volumes that grow
            steps = cluster.qdrant_step(spec)
            assert not [each for each in steps if isinstance(each, Remove) and each.place[0] in DATA]
        assert cluster.qdrant_step(spec) == []
        assert data <= set(cluster.found)
        assert all(_sizes(cluster)[name] >= size for name, size in sizes.items()), "no volume shrinks"
        before, peers = peers, cluster.found["StatefulSet", "vectors"].content["spec"]["replicas"]
        assert peers == max(before, spec.get("replicas", 1)) or spec_is_smaller(spec, sizes)


def spec_is_smaller(spec: Json, sizes: dict[str, float]) -> bool:
    """Whether it is refused since volumes would shrink."""
    return any(size > UNITS[spec.get("storage", {}).get("size", "1Gi")] for size in sizes.values())


def settled(spec: Json) -> Cluster:
    """One in which all of it is there."""
    cluster = Cluster()
    while cluster.step(spec, is_cnpg_served=False):
        pass
    return cluster


@given(specs, st.sampled_from(["Service", "ConfigMap", "StatefulSet", "NetworkPolicy"]))
def test_what_somebody_took_or_deleted_is_applied_again(spec: Json, kind: str) -> None:
    cluster = settled(spec | {"replicas": 1})
    places = [place for place in cluster.found if place[0] == kind]
    for place in places:
        cluster.found[place] = Live(cluster.found[place].content, "less")
    steps = cluster.step(spec | {"replicas": 1}, is_cnpg_served=False)
    assert {each.place for each in steps} == set(places)
    assert all(each.is_repair for each in steps)
    del cluster.found[places[0]]
    (step,) = cluster.step(spec | {"replicas": 1}, is_cnpg_served=False)
    assert step.is_repair
    found = copy.deepcopy(cluster.found[places[0]].content)
    found["metadata"]["annotations"][DESIRED] = "of another operator, which wants something else"
    cluster.found[places[0]] = Live(found, "ours")
    (step,) = cluster.step(spec | {"replicas": 1}, is_cnpg_served=False)
    assert step.is_repair, "so that two operators do not fight without end"


@given(specs)
def test_what_is_asked_for_anew_is_no_repair(spec: Json) -> None:
    cluster = settled({"replicas": 1})
    steps = cluster.step(spec | {"replicas": 1, "resources": {"limits": {"memory": "1Gi"}}}, is_cnpg_served=False)
    assert steps
    assert not [each for each in steps if isinstance(each, Apply) and each.is_repair]


@given(specs)
def test_a_start_applies_everything_once(spec: Json) -> None:
    cluster = settled(spec | {"replicas": 1})
    cluster.applied.clear()
    steps = cluster.step(spec | {"replicas": 1}, is_cnpg_served=False)
    assert {each.place for each in steps} == {
        place for place in cluster.found if place[0] not in ("PersistentVolumeClaim",)
    }
    assert not any(each.is_repair for each in steps)


def _sizes(cluster: Cluster) -> dict[str, float]:
    return {
        place[1]: UNITS[each.content["spec"]["resources"]["requests"]["storage"]]
        for place, each in cluster.found.items()
        if place[0] == "PersistentVolumeClaim"
    }
