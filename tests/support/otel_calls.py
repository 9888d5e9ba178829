"""Calls between services as spans, drawn for a property test, and what is counted of them."""

import json
from typing import Any

import msgspec
from hypothesis import strategies as st

from kgents_shared.contract.pulse import EdgeSample, TrafficPulse
from support.otel_spans import Made, call, peer_of

SERVICES = ("frontend", "cart", "prices")
calls = st.lists(
    st.tuples(
        st.sampled_from([("frontend", "cart"), ("frontend", "prices"), ("cart", "prices")]),
        st.floats(0.01, 5_000),
        st.floats(0.01, 5_000),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


def spans_of(drawn: list[tuple[tuple[str, str], float, float, bool]]) -> list[Made]:
    return [
        side
        for number, ((client, server), client_ms, server_ms, is_error) in enumerate(drawn)
        for side in call(client, server, number, client_ms=client_ms, server_ms=server_ms, is_error=is_error)
    ]


def samples(pulses: dict[str, TrafficPulse]) -> dict[tuple[str, str, str], EdgeSample]:
    return {(name, each.kind, peer_of(each.peer)): each for name, pulse in pulses.items() for each in pulse.edges}


def rounded(pulses: dict[str, TrafficPulse]) -> list[bytes]:
    """All that they say but the sums of floats, whose rounding depends on the order."""
    found = []
    for pulse in pulses.values():
        document = msgspec.to_builtins(pulse)
        document.get("edges", []).sort(key=lambda each: (each["kind"], str(each["peer"])))
        found.append(json.dumps(without_totals(document), sort_keys=True).encode())
    return sorted(found)


def without_totals(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: without_totals(each) for key, each in node.items() if key != "total"}
    return [without_totals(each) for each in node] if isinstance(node, list) else node
