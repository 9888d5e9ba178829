"""The CustomResourceDefinitions: what is refused and with which words, what is filled in, and that files are theirs."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from kgents_operator.resources.definitions import DEFINITIONS, POSTGRES
from kgents_operator.resources.postgres import PostgresCluster
from kgents_operator.resources.write import main, stale
from support.kube_api import ApiError
from support.kube_api.definitions import Definition
from support.kube_schemas import VERSIONS, faults
from support.operated import postgres

FOLDER = Path(__file__).parents[3] / "deploy/kubernetes/crds"
Json = dict[str, Any]


def admitted(new: Json, old: Json | None = None, *, is_strict: bool = False) -> Json:
    return Definition(POSTGRES.document()).admit(new, old, is_strict=is_strict)


def refusal(new: Json, old: Json | None = None) -> str:
    with pytest.raises(ApiError) as caught:
        admitted(new, old)
    assert caught.value.code == 422
    return str(caught.value)


def test_the_files_are_what_the_structs_say() -> None:
    assert stale(FOLDER) == [], "run `make fix`"


def test_a_file_that_differs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(str(tmp_path)) == 0
    (tmp_path / "postgresclusters.yaml").write_text("other")
    (tmp_path / "left.yaml").write_text("over")
    assert main("--check", str(tmp_path)) == 1
    assert "left.yaml, postgresclusters.yaml differ" in capsys.readouterr().err


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.kind)
def test_the_last_three_versions_of_kubernetes_take_them(definition: Any, version: str) -> None:
    assert faults(definition.document(), version) == []


def test_every_field_of_the_seed_of_a_resource_is_filled_in() -> None:
    assert admitted(postgres())["spec"] == {
        "database": "orders",
        "version": 17,
        "replicas": 1,
        "storage": {"size": "1Gi"},
        "resources": {
            "limits": {"cpu": "500m", "memory": "512Mi"},
            "requests": {"cpu": "100m", "memory": "256Mi"},
        },
        "pooler": {"enabled": True, "poolMode": "transaction", "maxConnections": 100},
        "backup": {"enabled": False, "keep": 7, "archive": False},
        "metrics": {"enabled": True, "port": 9187},
        "tls": {},
        "deletionPolicy": "Retain",
    }


def test_what_is_filled_in_is_what_the_struct_has_by_itself() -> None:
    filled = msgspec.convert(admitted(postgres()), PostgresCluster)
    assert filled == msgspec.convert(postgres(), PostgresCluster)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"database": "app'; DROP DATABASE x; --"}, "spec.database in body should match"),
        ({"database": "a" * 64}, "should be at most 63 chars long"),
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
)
def test_what_cannot_be_is_refused_with_its_reason(spec: Json, words: str) -> None:
    assert words in refusal(postgres(**spec))


@pytest.mark.parametrize("name", ["a" * 41, "orders.shop"])
def test_a_name_that_others_cannot_be_made_of_is_refused(name: str) -> None:
    assert "at most 40 characters, without dots" in refusal(postgres(name))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {"database": "other"}, "the database cannot change"),
        ({}, {"version": 18}, "the major version cannot change"),
        ({"storage": {"size": "2Gi"}}, {"storage": {"size": "1Gi"}}, "storage can only grow"),
        ({"storage": {"size": "2Gi"}}, {"storage": None}, "storage can only grow"),
        ({}, {"storage": {"storageClassName": "fast"}}, "the storage class cannot change"),
        ({"storage": {"storageClassName": "fast"}}, {}, "the storage class cannot change"),
        (
            {"storage": {"storageClassName": "fast"}},
            {"storage": {"storageClassName": "slow"}},
            "the storage class cannot change",
        ),
    ],
)
def test_what_never_changes_is_refused(before: Json, after: Json, words: str) -> None:
    old = admitted(postgres(**before))
    assert words in refusal(postgres(**after), old)


@pytest.mark.parametrize("size", ["1024Mi", "2Gi", 2147483648])
def test_what_grows_or_is_written_otherwise_is_taken(size: Any) -> None:
    old = admitted(postgres(storage={"size": "1Gi"}))
    assert admitted(postgres(storage={"size": size}), old)["spec"]["storage"]["size"] == size


@pytest.mark.parametrize(
    "schedule", ["30 2 * * *", "*/15 * * * *", "0 0 1,15 * MON-FRI", "@daily", "0 22-23 * JAN,JUN 0"]
)
def test_schedules_of_cron_are_taken(schedule: str) -> None:
    backup = {"enabled": True, "schedule": schedule, "destination": {"claimName": "nas"}}
    assert admitted(postgres(backup=backup))["spec"]["backup"]["schedule"] == schedule


def test_a_processor_is_written_as_people_do() -> None:
    spec = admitted(postgres(resources={"limits": {"cpu": 1}, "requests": {"cpu": 1}}))
    assert msgspec.convert(spec, PostgresCluster).spec.resources.limits.cpu == 1


def test_a_misspelt_field_is_named_to_who_asks_for_it() -> None:
    with pytest.raises(ApiError, match=r'unknown field "spec.replcas"'):
        admitted(postgres(replcas=2), is_strict=True)
    assert "replcas" not in admitted(postgres(replcas=2))["spec"]


def test_every_field_is_explained_or_explains_itself() -> None:
    spec = POSTGRES.document()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    parts = [spec, *(each for each in spec["properties"].values() if each.get("type") == "object")]
    assert [part for part in parts if not part["description"]] == []
