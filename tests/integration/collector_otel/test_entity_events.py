"""Entity events of the official SDK, over HTTP, as published entities, also over a restart of the collector."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Entity
from support.in_process import published
from support.otel_collector import Otel, otel_collector
from support.waiting import eventually

pytestmark = pytest.mark.integration

POD: dict[str, Any] = {
    "entity.type": "k8s.pod",
    "entity.id": {"k8s.pod.uid": "uid-1"},
    "entity.description": {"k8s.pod.name": "cart-7f", "k8s.namespace.name": "shop"},
    "entity.report.interval": 60,
}
APP = {"entity.type": "service", "entity.id": {"service.name": "cart"}}


async def send(port: int, *records: tuple[str, dict[str, Any]]) -> None:
    provider = LoggerProvider(shutdown_on_exit=False)
    exporter = OTLPLogExporter(endpoint=f"http://127.0.0.1:{port}/v1/logs")
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    for name, attributes in records:
        record = LogRecord(event_name=name, attributes=attributes)
        await asyncio.to_thread(provider.get_logger("test").emit, record)
    await asyncio.to_thread(provider.shutdown)


def shown(otel: Otel) -> dict[str, Entity]:
    return {each.ref.kind: each for each in published(otel.context, "entity")}


async def test_entities_of_events_are_shown_stay_over_a_restart_and_go_when_deleted(bus: Bus, tmp_path: Path) -> None:
    async with otel_collector(bus, tmp_path) as otel:
        await send(otel.http, ("entity.state", POD), ("entity.state", APP), ("", {"body": "no event"}))
        await eventually(lambda: shown(otel).keys() == {"pod", "app"}, 30)
        assert shown(otel)["pod"].aliases == ["pod-uid:uid-1"]
    async with otel_collector(bus, tmp_path) as otel:
        assert shown(otel).keys() == {"pod", "app"}
        await send(otel.http, ("entity.delete", {"entity.type": "k8s.pod", "entity.id": POD["entity.id"]}))
        await eventually(lambda: shown(otel).get("pod") is None or shown(otel)["pod"].op == "remove", 30)
        assert shown(otel)["app"].op == "upsert"
