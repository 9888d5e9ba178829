"""otlp-exporter against receivers: our own behind one that is not ours, and one that fails as it is asked to."""

import gzip
import logging
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from kgents_otlp_exporter.app import SERVICE
from kgents_otlp_exporter.config import Config
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import Secret
from kgents_shared.contract.entity import Entity
from support.build import NOW, make_ref
from support.http_stand_in import Fault, Got, Reply, StandIn
from support.in_process import published, run_in_process, until_in_sync
from support.otel_collector import Otel, otel_collector
from support.rotel import Rotel
from support.state import edge, make_alert, make_health, make_topology, publish, removed
from support.waiting import eventually

pytestmark = pytest.mark.integration

POD, NODE, OURS = make_ref(cluster="c1"), make_ref("n1", kind="node", namespace="", cluster="c1"), make_ref("own")
CANARY = "Zx81-canary"


def shown(otel: Otel) -> dict[str, Entity]:
    return {each.ref.name: each for each in published(otel.context, "entity") if each.op != "remove"}


async def test_entities_reach_a_receiver_through_another_collector_and_leave_it(bus: Bus, tmp_path: Path) -> None:
    pod = make_topology(ref=POD, attributes={"k8s.pod.uid": "u-1"}, connections=[edge("runs_on", NODE)])
    node = make_topology(ref=NODE, attributes={"k8s.node.uid": "n-1"})
    await publish(bus, node, pod, make_topology(ref=OURS))
    async with otel_collector(bus, tmp_path) as otel, Rotel(tmp_path, f"http://127.0.0.1:{otel.http}") as rotel:
        config = Config(endpoint=rotel.url, metrics_interval_s=1)
        async with run_in_process(SERVICE, config, bus, tmp_path) as context:
            await until_in_sync(context)
            await eventually(lambda: {"cart-7f", "n1"} <= shown(otel).keys(), 30)
            found = shown(otel)["cart-7f"]
            assert (found.uid, found.ref.namespace) == ("u-1", "shop")
            assert [(each.kind, getattr(each.peer, "name", "")) for each in found.connections] == [("runs_on", "n1")]
            await publish(bus, removed(pod))
            await eventually(lambda: "cart-7f" not in shown(otel), 30)
            assert "own" not in shown(otel)


class Receiver:
    """What a receiver that checks each request has been told."""

    def __init__(self) -> None:
        self.logs: list[LogRecord] = []
        self.metrics: dict[str, list[Any]] = {}
        self.tokens: set[str] = set()

    def take(self, got: Got) -> Reply:
        assert got.headers["content-type"] == "application/x-protobuf"
        body = gzip.decompress(got.body)
        self.tokens.add(got.headers["authorization"])
        if got.path == "/v1/logs":
            for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
                self.logs += [each for scope in resource.scope_logs for each in scope.log_records]
        else:
            assert got.path == "/v1/metrics"
            for each in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in each.scope_metrics[0].metrics:
                    self.metrics[metric.name] = list(metric.gauge.data_points)
        return Reply(200)

    def told(self) -> list[tuple[str, str]]:
        """Event name and the entity, or state, of each record."""
        return [(each.event_name, _text(each, "kgents.alert.state")) for each in self.logs]


def _text(record: LogRecord, name: str) -> str:
    return next((each.value.string_value for each in record.attributes if each.key == name), "")


async def test_what_is_not_taken_waits_over_a_restart_and_is_told_once_the_receiver_is_back(
    bus: Bus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pod, alert = make_topology(ref=POD), make_alert(ref=POD, started_at=NOW)
    await publish(bus, pod, make_health(ref=POD, level="unknown"), alert)
    receiver = Receiver()
    token = tmp_path / "token"
    token.write_text(f"{CANARY}\n")
    async with StandIn(receiver.take) as server:
        config = Config(endpoint=server.url, token=Secret(token), metrics_interval_s=1, timeout_s=2)
        server.faults = [
            Fault("reply", Reply(503, headers={"Retry-After": "0"}), is_processed=False),
            Fault("reset", is_processed=False),
        ]
        async with run_in_process(SERVICE, config, bus, tmp_path) as context:
            await eventually(lambda: ("kgents.alert", "firing") in receiver.told(), 30)
            assert {name for name, _ in receiver.told()} == {"entity.state", "kgents.alert"}
            await eventually(lambda: len(receiver.metrics) == 3, 30)
            (score,) = receiver.metrics["kgents.entity.health.score"]
            assert (score.flags, score.HasField("as_double")) == (1, False)
            await until_in_sync(context)
            server.faults = [Fault("reply", Reply(401), is_processed=False)] * 1_000
            await eventually(lambda: "HTTP 401; set otlp-exporter.token_file" in context.status.reason, 30)
            await publish(bus, make_alert(ref=POD, state="resolved", started_at=NOW, ended_at=NOW))
            assert context.status.state == "degraded"
        receiver.logs.clear()
        await publish(bus, removed(pod))  # while no exporter runs
        rejected = ExportLogsServiceResponse(partial_success=ExportLogsPartialSuccess(rejected_log_records=1))
        server.faults = []
        async with run_in_process(SERVICE, config, bus, tmp_path) as context:
            # The streams have no common order: where the pod goes first, its alert goes with it.
            ways = [{("entity.delete", ""), ("kgents.alert", how)} for how in ("resolved", "removed")]
            await eventually(lambda: any(way <= set(receiver.told()) for way in ways), 30)
            await until_in_sync(context)
            server.faults = [Fault("reply", Reply(200, rejected.SerializeToString()))] * 2
            await publish(bus, make_topology(ref=NODE))
            await eventually(lambda: "refused" in context.status.heartbeat(0, 0.0).reason, 30)
            heartbeat = context.status.heartbeat(0, 0.0)
    assert receiver.tokens == {f"Bearer {CANARY}"}
    assert CANARY not in caplog.text + str(heartbeat)
