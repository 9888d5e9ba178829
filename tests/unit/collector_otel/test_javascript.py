"""What the official SDK of JavaScript sends as OTLP/JSON, recorded from its exporter 0.223.1."""

import json
from pathlib import Path

from kgents_collector_otel.mapping import otlp_json
from kgents_shared.contract.entity import Ref
from support.otel_spans import CLUSTER, Counting

RECORDED = Path(__file__).parents[2] / "data/collector_otel/javascript.json"


def test_its_spans_are_paired() -> None:
    requests = [json.dumps(each).encode() for each in json.loads(RECORDED.read_bytes())]
    spans = json.loads(RECORDED.read_bytes())[0]["resourceSpans"][0]["scopeSpans"][0]["spans"]
    counting = Counting()
    counting.now_ns = int(spans[-1]["endTimeUnixNano"])
    counting.take(*(otlp_json.protobuf(each) for each in requests))
    entities, pulses = counting.close()
    assert set(entities) == {"js-frontend", "js-cart"}
    (edge,) = pulses["js-frontend"].edges
    assert (edge.peer, edge.kind, edge.n) == (Ref(CLUSTER, "app", "js-cart"), "http", 2)
    assert (edge.paired_share, edge.errors_client, edge.errors_server) == (1.0, 0, 0)
