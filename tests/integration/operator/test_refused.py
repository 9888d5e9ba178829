"""What an API server refuses of our resources by their definitions, and with which words."""

from typing import Any

import pytest

from kgents_operator.resources.definitions import DEFINITIONS
from support.kube_api import KubeApi
from support.kubernetes import Kubernetes
from support.operated import Json, Site, postgres
from support.operated_disruption import DisruptionSite
from support.operated_qdrant import QdrantSite
from support.operated_redis import RedisSite
from support.real_cluster import DEFINITIONS as DEFINED
from support.real_cluster import RealCluster

pytestmark = pytest.mark.timeout(120)
ARTICLES = {"name": "articles", "dimensions": 384}
FAST = {"storage": {"storageClassName": "fast"}}
Case = tuple[Json, str]
Change = tuple[Json, Json, str]
"""Before, after, and what is said."""

NEW: dict[type[Site], list[Case]] = {
    Site: [
        ({"database": "app'; DROP DATABASE x; --"}, "spec.database in body should match"),
        ({"database": "a" * 64}, "spec.database: Too long: may not be more than 63 bytes"),
        ({"database": "template1"}, "the database is one of PostgreSQL's own"),
        ({"replicas": 0}, "spec.replicas in body should be greater than or equal to 1"),
        ({"replicas": 4}, "spec.replicas in body should be less than or equal to 3"),
        ({"replicas": "2"}, "spec.replicas in body must be of type integer"),
        ({"version": 13}, "should be greater than or equal to 14"),
        ({"storage": {"size": "0"}}, "expected a quantity above 0"),
        ({"storage": {"size": "much"}}, "expected a quantity above 0"),
        ({"storage": {"size": "1Gi", "storageClassName": "Fast SSD"}}, "storageClassName in body should match"),
        ({"resources": {"limits": {"cpu": "-1"}}}, "expected a quantity above 0"),
        ({"resources": {"requests": {"memory": "1Gi"}}}, "the request of memory is above its limit"),
        ({"resources": {"requests": {"cpu": 2}}}, "the request of cpu is above its limit"),
        ({"pooler": {"poolMode": "fast"}}, 'supported values: "session", "statement", "transaction"'),
        ({"pooler": {"maxConnections": 0}}, "should be greater than or equal to 1"),
        ({"backup": {"enabled": True}}, "an enabled backup needs a schedule and a destination"),
        ({"backup": {"enabled": True, "schedule": "@daily"}}, "an enabled backup needs a schedule and a destination"),
        ({"backup": {"archive": True}}, "an archive needs an enabled backup"),
        ({"backup": {"schedule": "whenever"}}, "spec.backup.schedule in body should match"),
        ({"backup": {"schedule": "0 25 * * *"}}, "spec.backup.schedule in body should match"),
        ({"backup": {"destination": {}}}, "spec.backup.destination.claimName: Required value"),
        ({"metrics": {"port": 99999999}}, "should be less than or equal to 65535"),
        ({"metrics": {"port": 5432}}, "the port of the metrics is that of the server"),
        ({"deletionPolicy": "Burn"}, 'supported values: "Delete", "Retain"'),
    ],
    RedisSite: [
        ({"replicas": 0}, "spec.replicas in body should be greater than or equal to 1"),
        ({"replicas": -3}, "spec.replicas in body should be greater than or equal to 1"),
        ({"replicas": 4}, "spec.replicas in body should be less than or equal to 3"),
        ({"replicas": 2, "persistence": {"enabled": False}}, "replicas need persistence"),
        ({"maxMemory": "256mb"}, "maxMemory must be below the limit of memory"),
        ({"maxMemory": "1gb", "resources": {"limits": {"memory": "1Gi"}}}, "maxMemory must be below"),
        ({"maxMemory": "much"}, "spec.maxMemory in body should match"),
        ({"maxMemory": "128Mi"}, "spec.maxMemory in body should match"),
        ({"evictionPolicy": "newest"}, "supported values"),
        ({"image": "evil/whatever:latest"}, "an image with a version or digest, not latest"),
        ({"image": "valkey"}, "spec.image in body should match"),
        ({"persistence": {"storageSize": "0"}}, "expected a quantity above 0"),
        ({"resources": {"requests": {"memory": "1Gi"}}}, "the request of memory is above its limit"),
        ({"backup": {"enabled": True, "schedule": "@daily"}}, "an enabled backup needs a schedule and a destination"),
        ({"backup": {"schedule": "whenever"}}, "spec.backup.schedule in body should match"),
        ({"metrics": {"port": 6379}}, "the port of the metrics is that of the server"),
        ({"metrics": {"port": 80}}, "should be greater than or equal to 1024"),
        ({"deletionPolicy": "Burn"}, 'supported values: "Delete", "Retain"'),
    ],
    QdrantSite: [
        ({"replicas": 0}, "spec.replicas in body should be greater than or equal to 1"),
        ({"replicas": 10}, "spec.replicas in body should be less than or equal to 9"),
        ({"collections": [{"name": "a"}]}, "spec.collections[0].dimensions: Required value"),
        ({"collections": [ARTICLES | {"dimensions": -5}]}, "should be greater than or equal to 1"),
        ({"collections": [ARTICLES | {"name": "a b"}]}, "spec.collections[0].name in body should match"),
        ({"collections": [ARTICLES | {"distance": "Far"}]}, 'supported values: "Cosine", "Dot", "Euclid"'),
        ({"collections": [ARTICLES, ARTICLES]}, "spec.collections[1]: Duplicate value"),
        ({"storage": {"size": "0"}}, "expected a quantity above 0"),
        ({"resources": {"requests": {"memory": "1Gi"}}}, "the request of memory is above its limit"),
        ({"backup": {"enabled": True, "schedule": "@daily"}}, "an enabled backup needs a schedule and a destination"),
    ],
    DisruptionSite: [
        ({"durationSeconds": 3601}, "should be less than or equal to 3600"),
        ({"reason": ""}, "spec.reason"),
        ({"action": "Explode"}, "supported values"),
    ],
}
CHANGED: dict[type[Site], list[Change]] = {
    Site: [
        ({}, {"database": "other"}, "the database cannot change"),
        ({}, {"version": 18}, "the major version cannot change"),
        ({"storage": {"size": "2Gi"}}, {"storage": {"size": "1Gi"}}, "storage can only grow"),
        ({"storage": {"size": "2Gi"}}, {"storage": None}, "storage can only grow"),
        ({}, {"storage": {"storageClassName": "fast"}}, "the storage class cannot change"),
        ({"storage": {"storageClassName": "fast"}}, {}, "the storage class cannot change"),
        (FAST, {"storage": {"storageClassName": "slow"}}, "the storage class cannot change"),
    ],
    RedisSite: [
        ({"persistence": {}}, {"persistence": {"enabled": False}}, "persistence cannot be switched"),
        ({"persistence": {"storageSize": "2Gi"}}, {"persistence": {"storageSize": "1Gi"}}, "storage can only grow"),
        ({"persistence": {"storageSize": "2Gi"}}, {"persistence": {}}, "storage can only grow"),
        ({"persistence": {}}, {"persistence": {"storageClassName": "fast"}}, "the storage class cannot change"),
        ({"persistence": {"storageClassName": "fast"}}, {"persistence": {}}, "the storage class cannot change"),
    ],
    QdrantSite: [
        ({"replicas": 3}, {"replicas": 2}, "peers cannot become fewer"),
        ({"replicas": 3}, {}, "peers cannot become fewer"),
        ({"storage": {"size": "2Gi"}}, {}, "storage can only grow"),
        ({}, {"storage": {"storageClassName": "fast"}}, "the storage class cannot change"),
        (
            {"collections": [{"name": "other", "dimensions": 3}, ARTICLES]},
            {"collections": [ARTICLES | {"dimensions": 385}]},
            "spec.collections[0]: Invalid value: dimensions and distance of a collection cannot change",
        ),
    ],
    DisruptionSite: [
        ({"abort": True}, {"abort": True} | {"action": "CutNetwork"}, "what a disruption does cannot change"),
        (
            {"abort": True},
            {"abort": True} | {"target": {"kind": "RedisCluster", "name": "other"}},
            "what a disruption does cannot change",
        ),
        ({"abort": True}, {"abort": True} | {"durationSeconds": 3600}, "what a disruption does cannot change"),
        ({"abort": True}, {"abort": True} | {"durationSeconds": 3601}, "should be less than or equal to 3600"),
        ({"abort": True}, {"abort": True} | {"abort": False}, "an abort cannot be taken back"),
        ({"abort": True}, {"abort": True} | {"reason": ""}, "spec.reason"),
    ],
}
NAMED: list[tuple[str, str]] = [
    ("a" * 41, "at most 40 characters, without dots"), ("orders.shop", "at most 40 characters, without dots"),
]  # fmt: skip


def rules(value: Any) -> list[str]:
    """What is said of each rule of a schema."""
    if isinstance(value, list):
        return [each for item in value for each in rules(item)]
    if not isinstance(value, dict):
        return []
    own = [each["message"] for each in value.get("x-kubernetes-validations", ())]
    return own + [each for item in value.values() for each in rules(item)]


RULES = {each for definition in DEFINITIONS for each in rules(definition.document())}


async def knows_rules(api: KubeApi | RealCluster, client: Kubernetes) -> bool:
    """Whether it checks CEL: before 1.25 a server forgot such rules."""
    if isinstance(api, KubeApi):
        return True
    found = await client.get(f"{DEFINED}/postgresclusters.kgents.io")
    return "x-kubernetes-validations" in found.text


def test_every_rule_has_a_case_that_it_refuses() -> None:
    said = [words for cases in NEW.values() for _, words in cases] + [words for _, words in NAMED]
    said += [words for changes in CHANGED.values() for *_, words in changes]
    assert {each for each in RULES if not any(words.rpartition(": ")[2] in each for words in said)} == set()


@pytest.mark.parametrize("kind", NEW, ids=lambda each: each.plural)
async def test_what_cannot_be_is_refused_with_its_reason(
    site: Site, api: KubeApi | RealCluster, kind: type[Site]
) -> None:
    asked, knows = kind(site.api, site.client), await knows_rules(api, site.client)
    wrong = []
    for spec, words in NEW[kind]:
        answer = await asked.client.request("POST", asked.path, asked.written(asked.default, **spec))
        if answer.status != 422 or words not in unquoted(answer.body["message"]):
            wrong.append((spec, answer.status, answer.text))
            await asked.client.request("DELETE", f"{asked.path}/{asked.default}")
    assert [each for each in wrong if knows or not is_of_rule(each[0], NEW[kind])] == []


@pytest.mark.parametrize("kind", CHANGED, ids=lambda each: each.plural)
async def test_what_never_changes_is_refused(site: Site, api: KubeApi | RealCluster, kind: type[Site]) -> None:
    asked, knows = kind(site.api, site.client), await knows_rules(api, site.client)
    wrong = []
    for before, after, words in CHANGED[kind]:
        made = await asked.create(**before)
        changed = asked.written(asked.default, **after)
        changed["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
        answer = await asked.client.request("PUT", f"{asked.path}/{asked.default}", changed)
        if answer.status != 422 or words not in unquoted(answer.body["message"]):
            wrong.append((before, after, answer.status, answer.text))
        await asked.delete()
    assert wrong == [] or not knows


async def test_a_name_that_others_cannot_be_made_of_is_refused(site: Site, api: KubeApi | RealCluster) -> None:
    if not await knows_rules(api, site.client):
        pytest.skip("the server knows no CEL")
    for name, words in NAMED:
        answer = await site.client.request("POST", site.path, postgres(name))
        assert answer.status == 422
        assert words in answer.body["message"]


async def test_what_grows_is_written_otherwise_or_comes_and_goes_is_taken(site: Site) -> None:
    await site.create(storage={"size": "1Gi"})
    for size in ("1024Mi", "2Gi", 2147483648):
        found = await site.change({"spec": {"storage": {"size": size}}})
        assert found["spec"]["storage"]["size"] == size
    vectors = QdrantSite(site.api, site.client)
    await vectors.create(collections=[ARTICLES])
    other = {"name": "other", "dimensions": 3, "distance": "Dot"}
    assert len((await vectors.change({"spec": {"collections": [other, ARTICLES]}}))["spec"]["collections"]) == 2
    assert (await vectors.change({"spec": {"collections": [other]}}))["spec"]["collections"] == [other]


def unquoted(message: str) -> str:
    return message.replace("\\", "")


def is_of_rule(spec: Json, cases: list[Case]) -> bool:
    """Whether a rule refuses it, and not a type or a bound."""
    (words,) = (words for each, words in cases if each == spec)
    return any(words in each for each in RULES)
