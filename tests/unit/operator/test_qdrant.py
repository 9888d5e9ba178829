"""A QdrantCluster: what is refused and with which words, what it stands for, and what its status says."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from kgents_operator.desired.outcome import CLAIM, STATEFULSET, Desired, Observed, Place
from kgents_operator.desired.owner import IDENTITY, Owner
from kgents_operator.desired.qdrant import desired
from kgents_operator.desired.qdrant_names import QdrantNames
from kgents_operator.files import text
from kgents_operator.images import Images
from kgents_operator.qdrant_status import status
from kgents_operator.resources.definitions import QDRANT
from kgents_operator.resources.qdrant import QdrantCluster, Spec
from kgents_operator.status import Figures, timed
from support.kube_api.definitions import Definition
from support.kube_schemas import VERSIONS, faults
from support.operated import seen
from support.operated_qdrant import qdrant

ROOT = Path(__file__).parents[3]
OWNER = Owner("vectors", "shop", "u-1", "kgents.io/v1alpha1", "QdrantCluster")
BACKUP = {"enabled": True, "schedule": "@daily", "destination": {"claimName": "nas"}}
ARTICLES = {"name": "articles", "dimensions": 384}
Json = dict[str, Any]


def admitted(new: Json, old: Json | None = None) -> Json:
    return Definition(QDRANT.document()).admit(new, old, is_strict=False)


def spec_of(**spec: Any) -> Spec:
    return msgspec.convert(qdrant(**spec), QdrantCluster).spec


def peers(ready: int = 1, **annotations: str) -> dict[Place, Json]:
    found = {"metadata": {"generation": 1, "annotations": {f"kgents.io/{key}": each for key, each in
             annotations.items()}}, "status": {"observedGeneration": 1, "readyReplicas": ready}}  # fmt: skip
    return {(STATEFULSET, "vectors"): found}


def claims(*ordinals: int, size: str = "1Gi", holds: str = "qdrant") -> dict[Place, Json]:
    return {
        (CLAIM, f"data-vectors-{each}"): {
            "kind": CLAIM,
            "metadata": {
                "name": f"data-vectors-{each}",
                "annotations": {IDENTITY: holds},
                "labels": {"app.kubernetes.io/component": "database"},
            },
            "spec": {"resources": {"requests": {"storage": size}}},
        }
        for each in ordinals
    }


def made(objects: dict[Place, Json], **spec: Any) -> Desired[QdrantNames]:
    return desired(OWNER, spec_of(**spec), {}, Observed(objects), Images())


def one(wanted: Desired[QdrantNames], kind: str, name: str = "vectors") -> Json:
    (found,) = (each for each in wanted.objects if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def test_every_field_is_filled_in_as_the_struct_has_it() -> None:
    filled = admitted(qdrant(collections=[ARTICLES]))
    assert filled["spec"] == {
        "replicas": 1,
        "storage": {"size": "1Gi"},
        "resources": {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}},
        "collections": [ARTICLES | {"distance": "Cosine"}],
        "backup": {"enabled": False, "keep": 7},
        "metrics": {"enabled": True},
        "tls": {},
        "deletionPolicy": "Retain",
    }
    assert msgspec.convert(filled, QdrantCluster).spec == spec_of(collections=[ARTICLES])
    assert msgspec.convert(admitted(qdrant()), QdrantCluster).spec == spec_of()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("spec", [{}, {"replicas": 3, "backup": BACKUP, "collections": [ARTICLES]}])
def test_the_last_three_versions_of_kubernetes_take_all_of_it(spec: Json, version: str) -> None:
    assert [fault for each in made(peers(), **spec).objects for fault in faults(each, version)] == []


def test_pods_are_held_to_the_restricted_profile_and_have_no_finalizer() -> None:
    documents = made(peers(), replicas=3, backup=BACKUP, collections=[ARTICLES]).objects
    templates = [each["spec"].get("jobTemplate", {}).get("spec", each["spec"]).get("template") for each in documents
                 if "spec" in each]  # fmt: skip
    pods = [each["spec"] for each in templates if each]
    assert len(pods) == 3
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for each in pod["containers"]:
            assert each["securityContext"]["allowPrivilegeEscalation"] is False
            assert each["securityContext"]["readOnlyRootFilesystem"] is True
            assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert set(each["resources"]) == {"requests", "limits"}
    assert all(each["metadata"]["ownerReferences"][0]["uid"] == "u-1" for each in documents)
    assert not any("finalizers" in each["metadata"] for each in documents)


def test_the_first_peer_founds_the_cluster_alone_and_more_peers_start_none_again() -> None:
    assert one(made({}, replicas=3), STATEFULSET)["spec"]["replicas"] == 1
    assert one(made(peers(0), replicas=3), STATEFULSET)["spec"]["replicas"] == 1
    grown = one(made(peers(), replicas=3), STATEFULSET)
    assert grown["spec"]["replicas"] == 3
    assert one(made(claims(0, 1, 2), replicas=3), STATEFULSET)["spec"]["replicas"] == 3, "raft needs most of them"
    assert grown["spec"]["template"] == one(made({}), STATEFULSET)["spec"]["template"]
    with_collections = one(made(peers(), replicas=3, collections=[ARTICLES], backup=BACKUP), STATEFULSET)
    assert with_collections["spec"]["template"] == grown["spec"]["template"]


def test_volumes_of_others_are_what_the_first_peer_is_told() -> None:
    assert one(made(claims(0)), "ConfigMap", "vectors-config")["data"]["peers"] == ""
    others = one(made(peers() | claims(0, 1, 2), replicas=3), "ConfigMap", "vectors-config")["data"]["peers"]
    assert others == "data-vectors-1 data-vectors-2"


@pytest.mark.parametrize(
    ("objects", "spec", "reason", "words"),
    [
        (claims(1, 2), {"replicas": 3}, "FirstVolumeMissing", "found none, and data-vectors-1, data-vectors-2 of o"),
        (peers(3, peers="3"), {"replicas": 2}, "ScaleInRefused", "expected at least the 3 peers"),
        (claims(0, 1, 2), {"replicas": 2}, "ScaleInRefused", "found 2 replicas and data-vectors-2"),
        (claims(0, 1, holds="redis"), {"replicas": 2}, "VolumeMismatch", "to hold qdrant, found redis"),
        (claims(0, size="2Gi"), {}, "StorageShrinks", "expected at least the 2Gi"),
    ],
)  # fmt: skip
def test_peers_never_become_fewer_and_kept_data_is_never_founded_anew(
    objects: dict[Place, Json], spec: Json, reason: str, words: str
) -> None:
    refused = made(objects, **spec)
    assert refused.objects == []
    assert refused.refusal is not None
    assert refused.refusal.reason == reason
    assert words in refused.refusal.message


def test_what_somebody_scaled_out_by_hand_is_put_back_and_its_volume_is_named() -> None:
    objects = peers(1, peers="1") | claims(0, 1)
    wanted = made(objects)
    assert one(wanted, STATEFULSET)["spec"]["replicas"] == 1
    found = shown(objects, Figures())
    (left,) = (each for each in found["conditions"] if each["type"] == "VolumesLeft")
    assert left["message"] == "no server uses data-vectors-1 now; try: kubectl delete pvc data-vectors-1"


@pytest.mark.parametrize(
    ("name", "place"),
    [("production.yaml", "qdrant"), ("qdrant-snapshot", "backup")],
)
def test_files_are_those_of_deploy_databases(name: str, place: str) -> None:
    assert text(name) == (ROOT / "deploy/databases" / place / name).read_text()


def shown(objects: dict[Place, Json], figures: Figures, **spec: Any) -> Json:
    wanted = made(objects, **spec)
    return timed(status(seen(spec_of(**spec), wanted, objects, figures)), {}, "2026-01-01T00:00:00Z")


def condition(found: Json, type_: str) -> tuple[str, str]:
    (each,) = (each for each in found["conditions"] if each["type"] == type_)
    return each["status"], each["reason"]


def test_figures_of_the_stream_are_shown_and_what_is_not_known_is_absent() -> None:
    measured = Figures(
        backend="qdrant", memory_mb=41.6, collections={"b": None, "articles": 7}, collection_count=2,
        measured_at="2026-01-01T00:00:00Z",
    )  # fmt: skip
    found = shown(peers(), measured, collections=[ARTICLES])
    assert found["collections"] == [{"name": "articles", "vectors": 7}, {"name": "b"}]
    assert (found["collectionCount"], found["memoryUsage"], found["ready"]) == (2, "42Mi", True)
    assert condition(found, "CollectionsMade") == ("True", "Made")
    assert condition(shown(peers(), Figures(collections={}, collection_count=0), collections=[ARTICLES]),
                     "CollectionsMade") == ("False", "Missing")  # fmt: skip
    without = shown(peers(), Figures(), collections=[ARTICLES])
    assert {"collections", "collectionCount", "memoryUsage"}.isdisjoint(without)
    assert condition(without, "CollectionsMade") == ("Unknown", "NoFigures")


@pytest.mark.parametrize(
    ("replicas", "ready", "is_ready", "availability"),
    [
        (1, 1, True, "OneServer"),
        (2, 2, True, "NoMajority"),
        (3, 3, True, "ByCollection"),
        (3, 2, False, "ByCollection"),
    ],
)
def test_ready_is_every_peer_and_availability_is_never_claimed(
    replicas: int, ready: int, is_ready: bool, availability: str
) -> None:
    found = shown(peers(ready), Figures(), replicas=replicas)
    assert (found["ready"], found["readyReplicas"]) == (is_ready, ready)
    assert condition(found, "HighlyAvailable")[1] == availability
    assert condition(found, "HighlyAvailable")[0] != "True"
    if not is_ready:
        assert (found["phase"], condition(found, "Ready")) == ("Degraded", ("False", "PeersNotReady"))
