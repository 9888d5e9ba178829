import pytest

from kgents_shared.contract import host_identity
from support.k8s_objects import golden, load, mapped


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("node", "running", ""),
        ("node_lost", "failed", "NotReady"),
        ("node_cordoned", "running", "MemoryPressure,SchedulingDisabled"),
    ],
)
def test_a_node_is_what_its_conditions_say(name: str, status: str, reason: str) -> None:
    found = mapped(load(name)).entities[0]
    assert (found.status, found.reason) == (status, reason)


def test_a_cordoned_node_that_is_not_ready_says_both() -> None:
    raw = load("node_lost")
    raw["spec"]["unschedulable"] = True
    found = mapped(raw).entities[0]
    assert (found.status, found.reason) == ("failed", "NotReady,SchedulingDisabled")


def test_a_node_that_says_nothing_is_unknown() -> None:
    raw = load("node")
    raw["status"]["conditions"] = []
    assert mapped(raw).entities[0].status == "unknown"


def test_a_heartbeat_is_no_news() -> None:
    before, after = load("node"), load("node")
    for each in after["status"]["conditions"]:
        each["lastHeartbeatTime"] = "2026-11-21T09:05:00Z"
    after["metadata"]["resourceVersion"] = "999999"
    after["status"]["images"] = []
    assert mapped(before) == mapped(after)


def test_a_node_has_addresses_and_names() -> None:
    found = mapped(load("node")).entities[0]
    assert found.addresses == ["192.168.10.21"]
    names = ["ip-192-168-10-21", "ip-192-168-10-21.eu-central-1.compute.internal"]
    info = load("node")["status"]["nodeInfo"]
    assert found.aliases == [*names, host_identity.alias(info["machineID"], info["bootID"])]


def test_a_node_says_what_it_is_and_has() -> None:
    attributes = mapped(load("node")).entities[0].attributes
    assert attributes["k8s.node.cpu.allocatable"] == 3.92
    assert attributes["kgents.k8s.node.memory.capacity"] == 16073528 * 1024
    assert attributes["k8s.node.pod.allocatable"] == 110
    assert attributes["kgents.k8s.node.roles"] == ["worker"]
    assert attributes["cloud.availability_zone"] == "eu-central-1a"
    assert attributes["container.runtime.name"] == "containerd"


def test_the_id_of_a_machine_is_not_published_as_it_is() -> None:
    raw = load("node")
    assert raw["status"]["nodeInfo"]["machineID"] not in golden(mapped(raw))
    one = mapped(raw).entities[0].attributes["host.id"]
    raw["status"]["nodeInfo"]["machineID"] = "0" * 32
    other = mapped(raw).entities[0].attributes["host.id"]
    assert len(str(one)) == len(str(other)) == 32
    assert one != other
    raw["status"]["nodeInfo"]["machineID"] = ""
    assert "host.id" not in mapped(raw).entities[0].attributes


def test_taints_are_attributes() -> None:
    assert mapped(load("node_lost")).entities[0].attributes["kgents.k8s.node.taints"] == [
        "dedicated=gpu:NoSchedule",
        "node.kubernetes.io/unreachable:NoExecute",
    ]


def test_a_namespace_that_goes_is_terminating() -> None:
    assert mapped(load("namespace")).entities[0].status == "running"
    assert mapped(load("namespace_terminating")).entities[0].status == "terminating"


def test_a_role_is_also_known_by_the_older_label() -> None:
    raw = load("node")
    raw["metadata"]["labels"] = {"kubernetes.io/role": "ingress", "node-role.kubernetes.io/worker": ""}
    assert mapped(raw).entities[0].attributes["kgents.k8s.node.roles"] == ["ingress", "worker"]
