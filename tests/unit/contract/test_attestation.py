"""What a heartbeat attests, and which entities are stale by the messages of their sources."""

from datetime import UTC, datetime

import pytest
from msgspec import structs

from kgents_shared.contract.attestation import Attestation
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.meta import HEARTBEAT_STATES, Heartbeat
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BEAT = Heartbeat(
    text="", service="collector-k8s", instance="one", version="1", started_at=NOW, state="in_sync", source="k8s"
)
SCOPES = [Unread(kind="pod", namespace="shop"), Unread(part="engine-b")]


def source(name: str, unread: list[Unread], *, op: str = "upsert", cluster: str = "test") -> TopologyEntity:
    return TopologyEntity(text="", ref=Ref(cluster, "source", name), op=op, unread=unread)


def attestation(**unread: list[Unread]) -> Attestation:
    found = Attestation()
    for name, scopes in unread.items():
        found = found.with_source(source(name, scopes), "test", name)
    return found


def entity(
    kind: str = "pod", namespace: str = "shop", *sources: str, cluster: str = "test", part: str = "", expiring: str = ""
) -> TopologyEntity:
    return TopologyEntity(
        text="",
        ref=Ref(cluster, kind, "a", namespace),
        sources=list(sources or ("k8s",)),
        parts=dict.fromkeys(sources, part) if part else {},
        expiring=[expiring] if expiring else [],
    )


def test_in_sync_attests_everything_but_its_scopes() -> None:
    assert BEAT.unattested == []
    assert structs.replace(BEAT, unread=SCOPES).unattested == SCOPES


def test_degraded_attests_what_no_scope_covers_and_without_a_scope_nothing() -> None:
    assert structs.replace(BEAT, state="degraded", unread=SCOPES).unattested == SCOPES
    assert structs.replace(BEAT, state="degraded", reason="no rights").unattested == [Unread(reason="no rights")]


@pytest.mark.parametrize("state", sorted({*HEARTBEAT_STATES, "of a newer version"} - {"in_sync", "degraded"}))
def test_any_other_state_attests_nothing(state: str) -> None:
    for unread in ([], SCOPES):
        (scope,) = structs.replace(BEAT, state=state, unread=unread).unattested
        assert structs.replace(scope, reason="") == Unread()
        assert state.replace("_", " ") in scope.reason


def test_an_entity_is_stale_by_the_scopes_of_its_own_sources_and_cluster_alone() -> None:
    unread = attestation(k8s=SCOPES)
    assert unread.stale(entity()) == ["k8s"]
    assert unread.stale(entity("node", "")) == []
    assert unread.stale(entity("pod", "shop", "docker")) == []
    assert unread.stale(entity(cluster="other")) == []
    assert attestation(k8s=[Unread()], docker=[Unread(kind="pod")]).stale(entity("pod", "shop", "docker", "k8s")) == [
        "docker",
        "k8s",
    ]


def test_a_part_is_stale_alone() -> None:
    unread = attestation(docker=[Unread(part="engine-b")])
    assert unread.stale(entity("container", "", "docker", part="engine-b")) == ["docker"]
    assert unread.stale(entity("container", "", "docker", part="engine-a")) == []
    assert unread.stale(entity("container", "", "docker")) == []


def test_what_expires_unless_it_is_reported_again_is_never_stale() -> None:
    assert attestation(app=[Unread()]).stale(entity("custom", "", "app", expiring="app")) == []


def test_the_source_itself_is_never_stale() -> None:
    assert attestation(k8s=[Unread()]).stale(entity("source", "", "k8s")) == []


def test_a_source_that_attests_again_or_is_gone_leaves_nothing_behind() -> None:
    silent = attestation(k8s=[Unread()], docker=[Unread()])
    for message in (source("k8s", []), source("k8s", [Unread()], op="remove"), None):
        assert silent.with_source(message, "test", "k8s") == attestation(docker=[Unread()])


def test_a_message_that_says_the_same_changes_nothing() -> None:
    silent = attestation(k8s=[Unread()])
    assert silent.with_source(source("k8s", [Unread()]), "test", "k8s") is silent
    assert silent.with_source(source("docker", []), "test", "docker") is silent
