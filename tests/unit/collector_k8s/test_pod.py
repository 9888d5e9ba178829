from support.k8s_objects import edges, load, mapped


def test_a_pod_runs_on_its_node_and_owns_its_containers() -> None:
    pod, *containers = mapped(load("pod")).entities
    assert edges(pod) == [("runs_on", "out", "node ip-192-168-10-21")]
    assert [each.ref.name for each in containers] == [f"{pod.ref.name}/{name}" for name in ("cart", "migrate", "proxy")]
    assert all(edges(each) == [("owns", "in", f"pod shop/{pod.ref.name}")] for each in containers)
    assert [each.attributes["kgents.k8s.container.type"] for each in containers] == ["app", "init", "sidecar"]


def test_a_container_goes_by_its_id_without_the_runtime() -> None:
    container = mapped(load("pod")).entities[1]
    assert container.attributes["container.runtime.name"] == "containerd"
    assert container.aliases == [f"container-id:{container.uid}"]
    assert container.attributes["container.id"] == container.uid


def test_a_container_without_an_id_lives_as_long_as_its_pod() -> None:
    pod, container = mapped(load("pod_image")).entities
    assert container.uid == pod.uid
    assert container.aliases == []


def test_an_image_is_taken_apart() -> None:
    container = mapped(load("pod")).entities[1]
    assert container.attributes["container.image.name"] == "registry.example.com:5000/shop/cart"
    assert container.attributes["container.image.tags"] == ["2.4.1"]
    pinned = mapped(load("pod_statefulset")).entities[1]
    assert pinned.attributes["container.image.name"] == "postgres"
    assert pinned.attributes["container.image.tags"] == ["17.2"]
    assert pinned.attributes["container.image.repo_digests"] == [f"postgres@sha256:{'ab' * 32}"]


def test_an_image_on_a_registry_with_a_port_may_have_no_tag() -> None:
    raw = load("pod_image")
    raw["spec"]["containers"][0]["image"] = "registry:5000/shop/cart"
    attributes = mapped(raw).entities[1].attributes
    assert attributes["container.image.name"] == "registry:5000/shop/cart"
    assert "container.image.tags" not in attributes


def test_requests_and_limits_are_numbers() -> None:
    pod, cart, migrate, proxy = mapped(load("pod")).entities
    assert cart.attributes["k8s.container.cpu.limit"] == 0.5
    assert proxy.attributes["k8s.container.memory.limit"] == 128 * 2**20
    assert "k8s.container.cpu.limit" not in migrate.attributes
    assert pod.attributes["kgents.k8s.pod.cpu.request"] == 0.35
    assert pod.attributes["kgents.k8s.pod.memory.limit"] == 384 * 2**20


def test_a_pod_with_one_unlimited_container_has_no_limit() -> None:
    raw = load("pod")
    del raw["spec"]["containers"][0]["resources"]["limits"]["memory"]
    attributes = mapped(raw).entities[0].attributes
    assert "kgents.k8s.pod.memory.limit" not in attributes
    assert attributes["kgents.k8s.pod.cpu.limit"] == 1.5


def test_limits_stated_for_the_pod_as_a_whole_come_first() -> None:
    raw = load("pod")
    raw["spec"]["resources"] = {"limits": {"cpu": "750m"}}
    assert mapped(raw).entities[0].attributes["kgents.k8s.pod.cpu.limit"] == 0.75


def test_restarts_are_summed() -> None:
    raw = load("pod")
    raw["status"]["initContainerStatuses"][1]["restartCount"] = 4
    assert mapped(raw).entities[0].attributes["kgents.k8s.pod.restart_count"] == 5


def test_a_pod_has_both_of_its_addresses_and_its_name_in_dns() -> None:
    pod = mapped(load("pod_statefulset")).entities[0]
    assert pod.addresses == ["10.244.1.17", "fd00:10:244:1::11"]
    uid = f"pod-uid:{pod.uid}"
    assert pod.aliases == [uid, "db-0.db.shop", "db-0.db.shop.svc", "db-0.db.shop.svc.cluster.local"]


def test_a_pod_on_the_host_network_has_only_its_ports_there() -> None:
    pod = mapped(load("pod_static")).entities[0]
    assert pod.addresses == ["192.168.10.21:10249"]
    assert pod.attributes["kgents.k8s.pod.host_network"] is True


def test_a_pod_that_is_over_gives_its_address_back() -> None:
    assert mapped(load("pod_job")).entities[0].addresses == []
    assert mapped(load("pod_evicted")).entities[0].addresses == []


def test_a_pod_carries_its_claims_and_those_made_for_it() -> None:
    pod = mapped(load("pod_statefulset")).entities[0]
    assert edges(pod)[1:] == [("volume", "out", "volume shop/data-db-0"), ("volume", "out", "volume shop/db-0-scratch")]
    assert [each.evidence for each in pod.connections[1:]] == [
        "spec.volumes[].persistentVolumeClaim",
        "spec.volumes[].ephemeral",
    ]


def test_what_configures_a_pod_is_carried_by_its_workload() -> None:
    fragment = mapped(load("pod"))
    assert fragment.owner is not None
    assert (fragment.owner.api_kind, fragment.owner.api_group) == ("ReplicaSet", "apps")
    assert fragment.references == []


def test_a_pod_without_a_workload_carries_what_configures_it() -> None:
    fragment = mapped(load("pod_static"))
    assert fragment.owner is not None
    assert fragment.owner.api_kind == "Node"
    assert ("configures", "in", "configmap shop/kube-proxy") in edges(fragment.entities[0])
    assert [ref.name for ref in fragment.references] == ["kube-proxy"]


def test_the_owner_is_the_one_that_controls() -> None:
    raw = load("pod")
    raw["metadata"]["ownerReferences"].insert(0, {"kind": "Tenant", "name": "x", "apiVersion": "example.com/v1"})
    owner = mapped(raw).owner
    assert owner is not None
    assert owner.api_kind == "ReplicaSet"
    raw["metadata"]["ownerReferences"].pop()
    assert mapped(raw).owner is None


def test_labels_by_which_controllers_know_their_own_are_left_out() -> None:
    assert mapped(load("pod_job")).entities[0].labels == {
        "batch.kubernetes.io/job-name": "report-29384",
        "job-name": "report-29384",
    }


def test_only_annotations_made_for_us_are_kept() -> None:
    assert mapped(load("pod")).entities[0].annotations == {"resource.opentelemetry.io/service.name": "cart"}
    assert mapped(load("namespace")).entities[0].annotations == {"kgents.io/criticality": "high"}


def test_a_port_of_the_node_is_an_address_where_others_reach_it() -> None:
    raw = load("pod")
    ports = [
        {"containerPort": 80, "hostPort": 8080},
        {"containerPort": 81, "hostPort": 8081, "hostIP": "0.0.0.0"},  # noqa: S104
        {"containerPort": 82, "hostPort": 8082, "hostIP": "192.0.2.7"},
        {"containerPort": 83, "hostPort": 8083, "hostIP": "127.0.0.1"},
        {"containerPort": 84, "hostPort": 8084, "hostIP": "::1"},
    ]
    raw["spec"]["containers"][0]["ports"] = ports
    sidecar = next(each for each in raw["spec"]["initContainers"] if each.get("restartPolicy") == "Always")
    sidecar["ports"] = [{"containerPort": 85, "hostPort": 8085}]
    node = raw["status"]["hostIP"]
    found = [each for each in mapped(raw).entities[0].addresses if ":808" in each]
    assert found == [f"{node}:8080", f"{node}:8081", "192.0.2.7:8082", f"{node}:8085"]
