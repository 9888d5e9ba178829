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
    """From one that hangs, which stands by when it goes on, and from one that is killed."""
    senders = Senders()

    async def add(name: str) -> None:
        ref = make_ref(name)
        await publish(bus, make_topology(ref=ref), make_alert(ref=ref, started_at=NOW))

    async def sent(name: str) -> dict[str, int]:
        await eventually(lambda: bool(senders.by(name)), 60)
        return senders.by(name)

    async def until(instance: str, state: str) -> None:
        async def is_so() -> bool:
            beat = await heartbeat(bus, "otlp-exporter", instance)
            return beat is not None and beat.state == state

        await eventually(is_so, 60)

    await add("first")
    async with StandIn(senders.take) as receiver:
        one, two = (
            ServiceProcess("otlp-exporter", server.url, tmp_path, instance=each, otlp_exporter__endpoint=receiver.url)
            for each in ("one", "two")
        )
        async with one, two:
            (holder,) = await sent("first")
            holds, stands_by, other = (one, two, "two") if holder == "one" else (two, one, "one")
            await until(other, "standby")
            await add("second")
            assert await sent("second") == {holder: 1}
            await until(holder, "in_sync")
            holds.pause()
            await add("third")
            assert await sent("third") == {other: 1}
            holds.resume()
            await until(holder, "standby")
            await add("fourth")
            assert await sent("fourth") == {other: 1}
            stands_by.kill()
            await add("fifth")
            assert await sent("fifth") == {holder: 1}
            assert senders.told[holder, "first", "firing"] == 1
