"""What a resource stands for: valid for Kubernetes, restricted, without a secret, and the files of deploy/databases."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kgents_operator import postgres_credentials
from kgents_operator.config import Config
from kgents_operator.desired import cnpg
from kgents_operator.desired.outcome import Observed
from kgents_operator.desired.owner import DESIRED, Owner
from kgents_operator.desired.postgres import desired
from kgents_operator.desired.postgres_names import PostgresNames
from kgents_operator.files import text
from kgents_operator.images import Images
from kgents_operator.kinds import CHILDREN, LEASES, SECRETS
from kgents_operator.resources.postgres import PostgresCluster, Spec
from kgents_operator.rights import roles
from support.kube_schemas import VERSIONS, faults
from support.operated import NOW, postgres

ROOT = Path(__file__).parents[3]
OWNER = Owner("orders", "shop", "u-1", "kgents.io/v1alpha1", "PostgresCluster")
BACKUP = {"enabled": True, "schedule": "@daily", "destination": {"claimName": "nas"}}
Json = dict[str, Any]


def spec_of(**spec: Any) -> Spec:
    return msgspec.convert(postgres(**spec), PostgresCluster).spec


def objects(**spec: Any) -> list[Json]:
    return desired(OWNER, spec_of(**spec), {}, Observed(), Images()).objects


def pods(documents: list[Json]) -> dict[str, Json]:
    found = {}
    for each in documents:
        spec = each.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template is not None:
            found[f"{each['kind']} {each['metadata']['name']}"] = template["spec"]
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"backup": BACKUP},
        {"pooler": {"enabled": False}, "metrics": {"enabled": False}},
        {"tls": {"secretName": "x"}},
    ],
)
def test_the_last_three_versions_of_kubernetes_take_all_of_it(spec: Json, version: str) -> None:
    assert [fault for each in objects(**spec) for fault in faults(each, version)] == []


def test_pods_are_held_to_the_restricted_profile() -> None:
    found = pods(objects(backup=BACKUP))
    assert len(found) == 3
    for name, spec in found.items():
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        kinds = {key for volume in spec["volumes"] for key in volume if key != "name"}
        assert kinds <= {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}, name
        for each in spec["containers"]:
            security = each["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert set(each["resources"]) == {"requests", "limits"}, name


def test_what_goes_with_the_resource_has_it_as_its_owner_and_volumes_do_not() -> None:
    documents = objects(backup=BACKUP)
    assert all(each["metadata"]["ownerReferences"][0]["uid"] == "u-1" for each in documents)
    assert not any("finalizers" in each["metadata"] for each in documents)
    (statefulset,) = (each for each in documents if each["kind"] == "StatefulSet")
    (claim,) = statefulset["spec"]["volumeClaimTemplates"]
    assert "ownerReferences" not in claim["metadata"]
    assert claim["metadata"]["annotations"] == {"kgents.io/identity": "orders/17"}
    assert statefulset["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"


def test_what_has_no_owner_is_not_taken_for_an_instance_of_argo_cd() -> None:
    (made,) = (each for each in objects() if each["kind"] == "StatefulSet")
    names = desired(OWNER, spec_of(), {}, Observed(), Images()).names
    secrets = postgres_credentials.made(OWNER, names, spec_of(), NOW)
    (cluster,) = (each for each in _of_cnpg() if each["kind"] == "Cluster")
    for each in (*made["spec"]["volumeClaimTemplates"], *secrets, cluster):
        assert "ownerReferences" not in each["metadata"]
        assert "app.kubernetes.io/instance" not in each["metadata"]["labels"]
        assert each["metadata"]["labels"]["kgents.io/postgrescluster"] == "orders"
    made["spec"]["volumeClaimTemplates"][0]["metadata"]["labels"]["app.kubernetes.io/instance"] = "orders"
    kept = desired(OWNER, spec_of(), {}, Observed({("StatefulSet", "orders"): made}), Images()).objects
    (again,) = (each for each in kept if each["kind"] == "StatefulSet")
    assert again["spec"] == made["spec"], "a template that was made with it never changes"


def test_the_same_resource_is_always_the_same_bytes_and_another_differs_where_it_should() -> None:
    assert json.dumps(objects()) == json.dumps(objects())
    one, other = digests(objects()), digests(objects(pooler={"maxConnections": 7}))
    assert {name for name in one if one[name] != other[name]} == {
        "ConfigMap orders-config", "Deployment orders-pooler",
    }  # fmt: skip


def digests(documents: list[Json]) -> dict[str, str]:
    return {
        f"{each['kind']} {each['metadata']['name']}": each["metadata"]["annotations"][DESIRED] for each in documents
    }


def test_a_server_that_has_answered_once_is_known_to_have_data() -> None:
    def noted(**found: Json) -> str:
        places = {("StatefulSet", "orders"): found["server"], ("ConfigMap", "orders-config"): found.get("config", {})}
        made = desired(OWNER, spec_of(), {}, Observed(places), Images()).objects
        return next(str(each["data"]["founded"]) for each in made if each["kind"] == "ConfigMap")

    bare: Json = {"metadata": {}, "spec": {}}
    assert noted(server=bare) == ""
    assert noted(server=bare | {"status": {"readyReplicas": 1}}) == "yes"
    assert noted(server=bare, config={"data": {"founded": "yes"}}) == "yes", "while it is away, too"
    (config,) = (each for each in objects() if each["kind"] == "ConfigMap")
    assert config["data"]["founded"] == ""


def test_a_backup_that_hangs_or_rests_keeps_no_other_from_being_made() -> None:
    (job,) = (each["spec"] for each in objects(backup=BACKUP) if each["kind"] == "CronJob")
    assert job["suspend"] is False
    assert job["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 86400


def test_collector_db_finds_server_and_pooler_by_their_labels() -> None:
    marks = {
        each["kind"]: each["spec"]["template"]["metadata"]["labels"].get("kgents.io/database")
        for each in objects()
        if each["kind"] in ("StatefulSet", "Deployment")
    }
    assert marks == {"StatefulSet": "postgres", "Deployment": "pgbouncer"}


def test_statements_are_not_logged_and_nothing_is_trusted() -> None:
    (config,) = (each["data"] for each in objects() if each["kind"] == "ConfigMap")
    assert "log_statement" not in config["postgresql.conf"]
    lines = [each for each in config["pg_hba.conf"].splitlines() if each and not each.startswith("#")]
    assert not [each for each in lines if "trust" in each or "md5" in each or each.startswith("host ")]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("postgresql.conf", "postgres"),
        ("pg_hba.conf", "postgres"),
        ("roles.sql", "postgres"),
        ("pgbouncer.ini", "pgbouncer"),
        ("postgres-dump", "backup"),
        ("postgres-base", "backup"),
        ("postgres-restore", "backup"),
    ],
)
def test_files_are_those_of_deploy_databases(name: str, place: str) -> None:
    assert text(name) == (ROOT / "deploy/databases" / place / name).read_text()


def test_a_cluster_of_cloudnativepg_has_no_owner_and_our_mark() -> None:
    spec = spec_of(replicas=3)
    found = desired(OWNER, spec, {}, Observed(is_cnpg_served=True), Images())
    (cluster,) = (each for each in found.objects if each["kind"] == "Cluster")
    assert cluster["apiVersion"] == cnpg.API_VERSION
    assert "ownerReferences" not in cluster["metadata"]
    assert cluster["spec"]["instances"] == 3
    assert cluster["spec"]["inheritedMetadata"]["labels"] == {"kgents.io/database": "postgres"}
    assert found.names == PostgresNames("orders", "shop", is_cnpg=True)


@pytest.mark.parametrize("is_served", [False, None])
def test_without_cloudnativepg_nothing_is_half_built(is_served: bool | None) -> None:
    found = desired(OWNER, spec_of(replicas=2), {}, Observed(is_cnpg_served=is_served), Images())
    assert found.refusal is not None
    assert found.objects == []
    assert found.refusal.is_final is (is_served is False)


def test_the_role_cannot_delete_data_or_read_a_secret() -> None:
    rules = [rule for role in roles(Config()) for rule in role["rules"]]
    verbs = {f"{each['resources'][0]}.{each['apiGroups'][0]}": set(each["verbs"]) for each in rules}
    assert verbs["secrets."] == {"create"}
    for data in ("persistentvolumeclaims.", "statefulsets.apps", "clusters.postgresql.cnpg.io", "configmaps."):
        assert "delete" not in verbs[data], data
    assert not any("*" in (*each["verbs"], *each["resources"], *each["apiGroups"]) for each in rules)
    assert not any("exec" in name for each in rules for name in each["resources"])


def test_a_role_for_some_namespaces_is_no_clusterrole() -> None:
    found = roles(Config(namespaces=["a", "b"], lease_namespace="ops"))
    assert [(each["kind"], each["metadata"]["namespace"]) for each in found] == [
        ("Role", "a"),
        ("Role", "b"),
        ("Role", "ops"),
    ]


def test_every_kind_that_is_applied_is_one_that_is_watched() -> None:
    applied = {each["kind"] for each in (*objects(backup=BACKUP), *_of_cnpg())}
    assert applied <= {each.kind for each in CHILDREN}
    assert {SECRETS.kind, LEASES.kind}.isdisjoint(applied)


def _of_cnpg() -> list[Json]:
    return desired(OWNER, spec_of(replicas=3), {}, Observed(is_cnpg_served=True), Images()).objects


@pytest.mark.parametrize("image", ["postgres", "postgres:latest", "", "two words:1"])
def test_an_image_that_moves_is_refused(image: str) -> None:
    with pytest.raises(ValueError, match="an image with a version or digest, not latest"):
        Images(pgbouncer=image)
