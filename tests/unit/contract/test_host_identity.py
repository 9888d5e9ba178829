"""What is published of a machine's identity, and by what its two names are joined."""

from kgents_collector_host.mapping import History, Network, observe
from kgents_collector_host.sample import Machine, Sample
from kgents_shared.contract import host_identity
from kgents_shared.contract.vocabulary.edges import SAME_AS
from support.build import NOW
from support.k8s_objects import load, mapped

MACHINE_ID, BOOT_ID = "ec2b1a9f0c2f4d8cb4d2a3f1e5c60718", "6c1cf1f8-6f0b-4b4f-9d1c-3a0a9d3b1a55"


def same_as(machine_id: str, boot_id: str) -> list[str]:
    """What a machine that collector-host observes says that it is."""
    machine = Machine("web-1", host_identity.host_id(machine_id), host_identity.alias(machine_id, boot_id), boot_id)
    sample = Sample(NOW, 1_000.0, machine, processes=())
    facts = observe(None, sample, Network(), History(), cluster="c", interval_s=10, max_processes=10, published={})
    (host,) = (each for each in facts.entities if each.ref.kind == "host")
    return [str(each.peer) for each in host.connections if each.kind == SAME_AS]


def test_a_machine_is_the_node_that_runs_on_it_and_no_clone_of_it_is() -> None:
    raw = load("node")
    raw["status"]["nodeInfo"] |= {"machineID": MACHINE_ID, "bootID": BOOT_ID}
    (node,) = mapped(raw).entities
    (alias,) = same_as(MACHINE_ID, BOOT_ID)
    assert alias in node.aliases
    clone = same_as(MACHINE_ID, BOOT_ID.replace("6", "7"))
    container = same_as("0" * 32, BOOT_ID)
    assert not {*clone, *container} & {*node.aliases}
    assert same_as("uninitialized", BOOT_ID) == same_as("", BOOT_ID) == same_as(MACHINE_ID, "") == []


def test_a_machine_id_is_not_published_as_it_is_and_other_ids_are() -> None:
    shown = host_identity.shown(MACHINE_ID)
    assert shown == host_identity.host_id(MACHINE_ID) != MACHINE_ID
    assert MACHINE_ID not in host_identity.alias(MACHINE_ID, BOOT_ID)
    assert host_identity.shown("i-0abc12de34f567890") == "i-0abc12de34f567890"
