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
