from kgents_shared.contract.meta import Heartbeat, Lease, Meta, Share
from kgents_shared.runtime.holders import Holding, holdings
from kgents_shared.runtime.pipeline import Reports, Verdict
from support.build import NOW

BUILDER = "topology-builder"


def beat(instance: str, home: str, *, service: str = BUILDER, may: list[str] | None = None) -> dict[str, Meta]:
    """The heartbeat of an instance under its own cluster."""
    share = Share(home=home, clusters=may or [])
    message = Heartbeat(
        text="", service=service, instance=instance, version="1", started_at=NOW, state="in_sync", share=share
    )
    return {f"kgents.meta.{home}.{service}.{instance}": message}


def lease(cluster: str, holder: str, service: str = BUILDER) -> dict[str, Meta]:
    return {f"kgents.meta.{cluster}.{service}.lease": Lease(text="", holder=f"{holder}/1", acquired_at=NOW)}


def judged(meta: dict[str, Meta]) -> list[Verdict]:
    """What doctor says of it beside its line for each heartbeat."""
    found = list(Reports(meta, dict.fromkeys(meta, 1.0), is_whole=False).verdicts())
    return found[sum(isinstance(each, Heartbeat) for each in meta.values()) :]


def test_each_instance_is_named_with_what_it_holds_and_one_without_anything_too() -> None:
    meta = beat("n1", "a") | beat("n2", "a") | beat("n3", "a") | lease("a", "n1") | lease("b", "n1") | lease("c", "n2")
    (verdict,) = judged(meta)
    assert verdict.is_ok
    assert verdict.text == "topology-builder: 3 clusters on 3 instances: n1 a, b; n2 c; n3 stands by"


def test_one_instance_with_its_one_cluster_needs_no_line() -> None:
    assert judged(beat("n1", "a") | lease("a", "n1")) == []


def test_a_cluster_that_no_instance_may_write_is_wrong() -> None:
    meta = beat("n1", "a", may=["a"]) | lease("a", "n1") | beat("k1", "b", service="collector-k8s")
    (verdict,) = judged(meta | lease("b", "k1", "collector-k8s"))
    assert (verdict.is_ok, verdict.next_step) == (False, "kgents run topology-builder")
    assert verdict.text == "topology-builder: no instance may write b by its configured clusters"


def test_a_cluster_that_is_free_and_may_be_taken_is_neither_right_nor_wrong() -> None:
    meta = beat("n1", "a") | lease("a", "n1") | beat("k1", "b", service="collector-k8s")
    (verdict,) = judged(meta | lease("b", "k1", "collector-k8s"))
    assert verdict.is_ok is None
    assert "no instance holds b at this moment" in verdict.text


def test_collectors_answer_for_their_own_clusters_alone() -> None:
    meta = beat("k1", "a", service="collector-k8s", may=["a"]) | beat("d1", "b", service="collector-db", may=["b"])
    held = lease("a", "k1", "collector-k8s") | lease("b", "d1", "collector-db")
    assert [*holdings(meta | held)] == [
        Holding("collector-db", {"d1": ["b"]}, [], []),
        Holding("collector-k8s", {"k1": ["a"]}, [], []),
    ]


def test_a_lease_whose_holder_sends_no_heartbeat_is_shown_beside_the_live_ones() -> None:
    assert [*holdings(beat("n2", "a") | lease("a", "n1"))] == [Holding(BUILDER, {"n2": [], "n1": ["a"]}, [], [])]


def test_leases_without_any_heartbeat_are_no_line() -> None:
    assert [*holdings(lease("a", "n1") | lease("b", "n2"))] == []
