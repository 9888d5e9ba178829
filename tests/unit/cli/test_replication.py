"""What a cluster of servers says of its replicas, in sentences."""

from kgents_cli.replication import faults
from kgents_shared.bus.jetstream import Placement, Replica

HERE = Replica(name="n2", current=True, active=900_000_000)


def test_replicas_that_are_current_are_no_fault() -> None:
    busy = Replica(name="n3", current=False, active=900_000_000, lag=40)
    assert list(faults({"KGENTS_META": Placement("n1", [HERE, busy])})) == []


def test_a_missing_server_is_named_once_for_all_its_streams() -> None:
    gone = Replica(name="n3", active=18_000_000_000)
    placement = Placement("n1", [HERE, gone])
    assert list(faults({"KGENTS_ENTITY": placement, "KGENTS_META": placement})) == [
        (
            "server n3 is missing: not heard from for 18 s; it holds a replica of 2 streams (KGENTS_ENTITY, …); "
            "try: start it"
        )
    ]


def test_a_server_that_said_goodbye_is_missing_too() -> None:
    found = list(faults({"KGENTS_META": Placement("n1", [HERE, Replica(name="n3", offline=True)])}))
    assert found == ["server n3 is missing: offline; it holds a replica of stream KGENTS_META; try: start it"]


def test_a_stream_without_a_leader_names_the_servers_that_it_lacks() -> None:
    alone = Placement("", [Replica(name="n1", current=True), Replica(name="n2"), Replica(name="n3")])
    assert list(faults({"KGENTS_META": alone})) == [
        (
            "stream KGENTS_META has no leader and cannot be written: expected 2 of 3 servers, found 1 "
            "(missing: n2, n3); try: start them"
        )
    ]


def test_a_replica_far_behind_is_named() -> None:
    slow = Replica(name="n3", active=900_000_000, lag=5_000)
    found = list(faults({"KGENTS_PULSE": Placement("n1", [HERE, slow])}))
    assert found == ["stream KGENTS_PULSE: the replica on server n3 is 5000 messages behind"]
