import pytest

from kgents_shared.contract.entity import Entity
from support.k8s_objects import Raw, edge, load, mapped

CONTAINERS = "containers[]"
PLACES = [
    ("configmap shop/app-env-config", "env", True, "containers[].env"),
    ("secret shop/app-env-secret", "env", False, "containers[].env"),
    ("configmap shop/app-from-config", "envFrom", False, "containers[].envFrom"),
    ("secret shop/app-from-secret", "envFrom", True, "containers[].envFrom"),
    ("configmap shop/init-env-config", "env", True, "initContainers[].env"),
    ("secret shop/init-env-secret", "env", False, "initContainers[].env"),
    ("configmap shop/init-from-config", "envFrom", False, "initContainers[].envFrom"),
    ("secret shop/init-from-secret", "envFrom", True, "initContainers[].envFrom"),
    ("configmap shop/volume-config", "volume", True, "volumes[].configMap"),
    ("secret shop/volume-secret", "volume", False, "volumes[].secret"),
    ("configmap shop/projected-config", "projected", False, "volumes[].projected"),
    ("secret shop/projected-secret", "projected", False, "volumes[].projected"),
    ("secret shop/csi-secret", "volume", False, "volumes[].csi"),
    ("secret shop/flex-secret", "volume", False, "volumes[].flexVolume"),
    ("secret shop/azure-secret", "volume", False, "volumes[].azureFile"),
    ("secret shop/pull-secret", "imagePullSecret", False, "imagePullSecrets[]"),
]


def configuring(entity: Entity) -> set[str]:
    return {str(each.peer) for each in entity.connections if each.kind == "configures"}


@pytest.mark.parametrize(("name", "at"), [("deployment", "spec.template.spec"), ("pod_bare", "spec")])
@pytest.mark.parametrize(("peer", "how", "is_optional", "path"), PLACES)
def test_every_place_that_names_one_is_an_edge(
    name: str, at: str, peer: str, how: str, is_optional: bool, path: str
) -> None:
    found = edge(mapped(load(name)).entities[0], peer)
    assert (found.kind, found.direction, found.evidence) == ("configures", "in", f"{at}.{path}")
    assert found.attributes == {"kgents.k8s.reference": [how], "kgents.k8s.reference.optional": is_optional}


def test_nothing_else_is_an_edge() -> None:
    twice = {"secret shop/twice"}
    assert configuring(mapped(load("deployment")).entities[0]) == {place[0] for place in PLACES} | twice
    debug = {"secret shop/debug-secret"}
    assert configuring(mapped(load("pod_bare")).entities[0]) == {place[0] for place in PLACES} | twice | debug


def test_what_is_named_twice_is_one_edge_and_needed_if_one_place_needs_it() -> None:
    found = edge(mapped(load("deployment")).entities[0], "secret shop/twice")
    assert found.attributes == {"kgents.k8s.reference": ["env", "envFrom"], "kgents.k8s.reference.optional": False}
    assert found.evidence == "spec.template.spec.containers[].env, spec.template.spec.initContainers[].envFrom"


@pytest.mark.parametrize("name", ["deployment", "pod_bare", "statefulset", "cronjob", "ingress", "gateway"])
def test_all_that_is_referenced_is_shown(name: str) -> None:
    fragment = mapped(load(name))
    assert {str(ref) for ref in fragment.references} == configuring(fragment.entities[0]) != set()


@pytest.mark.parametrize("driver", ["cephfs", "rbd", "iscsi", "scaleIO", "storageos", "flexVolume"])
def test_a_volume_driver_that_logs_in_is_configured_by_its_secret(driver: str) -> None:
    raw = load("pod_bare")
    raw["spec"]["volumes"] = [{"name": "v", driver: {"secretRef": {"name": "login"}}}]
    assert edge(mapped(raw).entities[0], "secret shop/login").evidence == f"spec.volumes[].{driver}"


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("cronjob", "spec.jobTemplate.spec.template.spec.containers[].envFrom"),
        ("job_failed", "spec.template.spec.containers[].envFrom"),
    ],
)
def test_a_template_is_read_where_it_stands(name: str, at: str) -> None:
    assert edge(mapped(load(name)).entities[0], "secret shop/report").evidence == at


def test_the_jobs_of_a_cronjob_leave_that_to_it() -> None:
    fragment = mapped(load("job"))
    assert configuring(fragment.entities[0]) == set()
    assert fragment.references == []


@pytest.mark.parametrize("volumes", [None, [], [{"name": "x", "projected": {}}], [{"name": "x", "configMap": {}}]])
def test_a_volume_that_names_nothing_is_no_edge(volumes: list[Raw] | None) -> None:
    raw = load("pod_static")
    raw["spec"]["volumes"] = volumes
    assert configuring(mapped(raw).entities[0]) == set()
