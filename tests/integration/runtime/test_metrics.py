"""What a service shows to Prometheus of its buffer on disk and of what its streams lost."""

import re
from pathlib import Path

import pytest

from kgents_shared.bus import losses, state_audit
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info, update_stream
from kgents_shared.contract.facts import Facts
from kgents_shared.runtime.heartbeat import observe
from kgents_shared.runtime.stall import StallMeter
from support.build import make_entity
from support.collecting import Collecting, collecting
from support.nats_server import NatsServer
from support.waiting import eventually

PULSE_SUBJECT = "kgents.pulse.test.nats.container.a.a1"
BUFFER_BYTES = 2_000


class Metrics:
    """What Prometheus reads of a collector."""

    def __init__(self, one: Collecting, bus: Bus) -> None:
        self._telemetry = one.context.telemetry
        observe(self._telemetry, lambda: [one.context.status], bus, one.context.log, StallMeter())

    def __getitem__(self, name: str) -> float:
        found = re.search(rf"^kgents_{name}(?:{{.*}})? (\S+)$", self._text(), re.MULTILINE)
        assert found is not None, f"{name} in {self._text()}"
        return float(found[1])

    def types(self) -> dict[str, str]:
        """Name → counter or gauge."""
        return dict(re.findall(r"^# TYPE kgents_(\S+) (\S+)$", self._text(), re.MULTILINE))

    def _text(self) -> str:
        return self._telemetry.render().decode()


async def test_the_buffer_on_disk_is_among_the_metrics_without_nats(
    bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    async with collecting(bus, tmp_path, buffer_max_bytes=BUFFER_BYTES) as one:
        metrics = Metrics(one, bus)
        assert metrics["outbox_limit_bytes"] == BUFFER_BYTES
        assert metrics["outbox_messages"] == metrics["outbox_usage_bytes"] == metrics["outbox_evicted_total"] == 0
        server.kill()
        await eventually(lambda: not bus.is_connected)

        for number in range(50):
            one.context.log.publish(PULSE_SUBJECT, f"{number:0100}".encode())
        await eventually(lambda: metrics["outbox_messages"] + metrics["outbox_evicted_total"] == 50)

        assert metrics["outbox_messages"] == one.heartbeat().spilled > 0
        assert metrics["outbox_evicted_total"] == one.heartbeat().evicted > 0
        assert BUFFER_BYTES / 2 < metrics["outbox_usage_bytes"] == one.heartbeat().spilled_bytes <= BUFFER_BYTES
        assert metrics["outbox_fault"] == 0
        assert metrics["bus_connected"] == 0

        one.outbox.close()
        one.context.log.publish(PULSE_SUBJECT, b"0")
        await eventually(lambda: metrics["outbox_fault"] == 1)
        await server.start()
        await eventually(lambda: metrics["outbox_fault"] == 0)
        assert metrics["bus_reconnects_total"] >= 1


async def test_lost_messages_are_counted_over_all_runs(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_audit, "AUDIT_INTERVAL_S", 0.1)
    monkeypatch.setattr(losses, "INTERVAL_S", 0.1)  # also where no audit came between the messages and their loss
    async with collecting(bus, tmp_path) as one:
        metrics = Metrics(one, bus)
        entities = [make_entity(name, source="nats") for name in ("a", "b", "c")]
        await one.collector.publish(Facts(entities), entities[0].ref.namespace)
        await one.published()
        assert metrics["losses_total"] == 0

        session = await bus.session()
        config = (await stream_info(session, "KGENTS_ENTITY")).config
        for most in (1, -1):
            await update_stream(session, "KGENTS_ENTITY", {**config, "max_msgs": most})

        # What is published again before the limit is lifted takes the place of another, which is lost as well.
        await eventually(lambda: metrics["losses_total"] >= 2)
        await eventually(lambda: _holds(bus, len(entities)))
        lost = metrics["losses_total"]
        one.context.status.forget_tables()  # as when another run begins
        assert metrics["losses_total"] == lost


async def _holds(bus: Bus, count: int) -> bool:
    return (await stream_info(await bus.session(), "KGENTS_ENTITY")).state.messages == count


async def test_what_only_grows_is_a_counter(bus: Bus, tmp_path: Path) -> None:
    async with collecting(bus, tmp_path) as one:
        types = Metrics(one, bus).types()
        counters = {"bus_reconnects", "conflicts", "losses", "dead_letters", "outbox_evicted", "event_loop_stalls"}
        assert {name for name, type_ in types.items() if type_ == "counter"} == {f"{each}_total" for each in counters}
        gauges = {"outbox_messages", "outbox_usage_bytes", "outbox_limit_bytes", "outbox_fault", "table_backlog"}
        assert gauges <= {name for name, type_ in types.items() if type_ == "gauge"}
