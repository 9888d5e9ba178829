"""Two instances of otlp-exporter: one sends, and the other goes on where it stops."""

import gzip
from collections import Counter
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from kgents_shared.bus.client import Bus
from support.build import NOW, make_ref
from support.http_stand_in import Got, Reply, StandIn
from support.nats_server import NatsServer
from support.service_process import ServiceProcess
from support.state import make_alert, make_topology, publish
from support.truth import heartbeat
from support.waiting import eventually

pytestmark = pytest.mark.integration


class Senders:
    """Which instance has sent what, as often as it did."""

    def __init__(self) -> None:
        self.told: Counter[tuple[str, str, str]] = Counter()

    def take(self, got: Got) -> Reply:
        if got.path == "/v1/logs":
            for resource in ExportLogsServiceRequest.FromString(gzip.decompress(got.body)).resource_logs:
                about = {each.key: each.value.string_value for each in resource.resource.attributes}
                for record in (record for scope in resource.scope_logs for record in scope.log_records):
                    named = {each.key: each.value.string_value for each in record.attributes}
                    if record.event_name == "kgents.alert":
                        self.told[about["service.instance.id"], named["kgents.name"], named["kgents.alert.state"]] += 1
        return Reply(200)

    def by(self, name: str) -> dict[str, int]:
        """Instance → how often it has told of the alert of one entity."""
        return {instance: often for (instance, of, _), often in self.told.items() if of == name}


async def test_one_of_two_sends_and_the_other_takes_over(server: NatsServer, bus: Bus, tmp_path: Path) -> None:
    first, second = make_ref("first"), make_ref("second")
    await publish(bus, make_topology(ref=first), make_alert(ref=first, started_at=NOW))
    senders = Senders()
    async with StandIn(senders.take) as receiver:
        one, two = (
            ServiceProcess("otlp-exporter", server.url, tmp_path, instance=each, otlp_exporter__endpoint=receiver.url)
            for each in ("one", "two")
        )
        async with one, two:
            await eventually(lambda: bool(senders.by("first")), 60)
            (holder,) = senders.by("first")
            leaves, stays = (one, "two") if holder == "one" else (two, "one")

            async def stands_by() -> bool:
                beat = await heartbeat(bus, "otlp-exporter", stays)
                return beat is not None and beat.state == "standby"

            await eventually(stands_by, 60)
            await publish(bus, make_topology(ref=second), make_alert(ref=second, started_at=NOW))
            await eventually(lambda: bool(senders.by("second")), 30)
            assert senders.by("second") == {holder: 1}
            await leaves.stop()
            await publish(bus, make_alert(ref=second, state="resolved", started_at=NOW, ended_at=NOW))
            third = make_ref("third")
            await publish(bus, make_topology(ref=third), make_alert(ref=third, started_at=NOW))
            await eventually(lambda: bool(senders.by("third")), 60)
            assert senders.by("third") == {stays: 1}
            assert senders.told[holder, "first", "firing"] == 1
