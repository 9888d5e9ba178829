"""What is said of an entity, without the names that are outside of a scope."""

import msgspec
import pytest

from kgents_gateway.access.scrub import scrubbed, scrubbed_pulse, scrubbed_versions
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import OTHER, Ref
from kgents_shared.contract.health import Edge, Reason
from kgents_shared.contract.pulse import EdgeSample, TrafficPulse
from kgents_shared.view.entity import EntityView, Rows, key_of_ref
from support.build import NOW
from support.state import edge, make_alert, make_health, make_topology

OWN = Ref("east", "pod", "cart", "shop")
PEER = Ref("west", "pod", "vault-secret", "bank")
WORDS = f"{OWN} waits for {PEER}"
CONNECTED = encode(make_topology(ref=OWN, connections=[edge("depends_on", PEER)]))
ALONE = encode(make_topology(ref=OWN))


def takes(ref: Ref) -> bool:
    return ref.cluster == "east"


def view(topology: bytes | None, peer: Ref | str | None = None) -> EntityView:
    named = Edge(kind="http", peer=peer) if peer is not None else None
    reason = Reason(check="KG-414", text=WORDS, severity=0.5, edge=named)
    health = msgspec.structs.replace(make_health(ref=OWN, text=WORDS, level="critical"), reasons=[reason])
    alert = msgspec.structs.replace(make_alert(ref=OWN, text=WORDS), edge=named)
    return EntityView(key_of_ref(OWN), Rows(topology, encode(health), {"KG-414": encode(alert)}))


def text_of(view: EntityView) -> bytes:
    return b"".join(each for each in (view.rows.topology, view.rows.health, *(view.rows.alerts or {}).values()) if each)


@pytest.mark.parametrize(
    ("topology", "peer"),
    [
        (CONNECTED, None),
        (CONNECTED, PEER),
        (CONNECTED, "vault-secret.bank.svc"),
        (ALONE, PEER),  # a connection that has ended since
        (None, None),  # at a moment of which its topology is forgotten
        (None, PEER),
        (None, "vault-secret.bank.svc"),
    ],
)
def test_a_peer_outside_is_named_nowhere(topology: bytes | None, peer: Ref | str | None) -> None:
    shown = text_of(scrubbed(view(topology, peer), takes))
    assert not any(word in shown for word in (b"vault-secret", b"bank", b"west"))
    assert b"cart" in shown
    assert b"critical" in shown


def test_a_peer_inside_stays() -> None:
    peer = Ref("east", "pod", "web", "shop")
    shown = scrubbed(view(encode(make_topology(ref=OWN, connections=[edge("depends_on", peer)])), peer), takes)
    assert shown.health is not None
    assert [each.edge and each.edge.peer for each in shown.health.reasons] == [peer]


@pytest.mark.parametrize("now", [CONNECTED, None])
def test_versions_of_health_alone_name_nobody_outside(now: bytes | None) -> None:
    known = view(now) if now is not None else None
    (shown,) = scrubbed_versions(OWN, [view(None)], known, takes)
    assert b"vault-secret" not in text_of(shown)
    assert (b"waits for" in text_of(shown)) == (now is not None)


@pytest.mark.parametrize("topology", [CONNECTED, ALONE, None])
def test_a_pulse_names_no_peer_outside(topology: bytes | None) -> None:
    inside = Ref("east", "app", "web", "shop")
    edges = [
        EdgeSample(peer=each, kind="http", n=1, spans=1) for each in (inside, PEER, "vault-secret.bank.svc", OTHER)
    ]
    pulse = TrafficPulse(ref=OWN, source="otel", timestamp=NOW, interval_s=60.0, text=WORDS, edges=edges)
    shown = scrubbed_pulse(pulse, view(topology), takes)
    assert isinstance(shown, TrafficPulse)
    assert [each.peer for each in shown.edges] == [inside, OTHER]
    assert not any(word in encode(shown) for word in (b"vault-secret", b"bank", b"west"))
    assert (b"waits for" in encode(shown)) == (topology is not None)
