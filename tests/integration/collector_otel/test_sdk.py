"""Official SDKs, and a collector that forwards, as senders: edges with rates, errors and the time on the way."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.vocabulary.attributes.otel import SERVICE_VERSION
from support.otel_collector import Otel, otel_collector
from support.otel_senders import Exporter, Service, call, exporting, grpc_exporter, http_exporter, http_gzip_exporter
from support.process import spawn_async
from support.programs import home_of, need
from support.rotel import Rotel
from support.waiting import eventually

SENDER = Path(__file__).parents[2] / "support/otel_sender.mjs"
SENDERS: dict[str, Exporter] = {"grpc": grpc_exporter, "http": http_exporter, "http and gzip": http_gzip_exporter}


@pytest.fixture
async def otel(bus: Bus, tmp_path: Path) -> AsyncIterator[Otel]:
    async with otel_collector(bus, tmp_path) as found:
        yield found


async def test_the_sdk_of_javascript_gives_calls_and_messages(otel: Otel) -> None:
    node, home = need("node"), home_of("opentelemetry-js")
    need("opentelemetry-js")

    async def is_shown() -> bool:
        sender = await spawn_async(node, SENDER, home, f"http://127.0.0.1:{otel.http}", "20")
        assert await sender.wait() == 0
        edges = [otel.edge("js-frontend", "js-cart"), otel.edge("js-mailer", "js-cart")]
        return all(each is not None and each.traffic is not None for each in edges)

    await eventually(is_shown, 30)
    called, received = otel.edge("js-frontend", "js-cart"), otel.edge("js-mailer", "js-cart")
    assert called is not None
    assert received is not None
    assert (called.kind, called.direction) == ("http", "out")
    assert (received.kind, received.direction) == ("messages", "in")


async def test_docker_compose_is_an_application_by_the_sdk_of_go(otel: Otel, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services: {cart: {image: cart}}")
    to = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{otel.grpc}"}
    compose = await spawn_async(need("docker-compose"), "--file", file, "config", "--quiet", env=to)
    assert await compose.wait() == 0
    entity = await eventually(lambda: otel.app("compose"), 30)
    assert (entity.status, str(entity.attributes[SERVICE_VERSION]).startswith("v")) == ("running", True)


async def test_what_a_collector_forwards_in_batches_of_its_own_gives_the_same_edges(otel: Otel, tmp_path: Path) -> None:
    """Rotel's: OpenTelemetry's own Collector is in no package that can be had."""
    frontend, cart = Service("frontend"), Service("cart")
    async with Rotel(tmp_path, f"http://127.0.0.1:{otel.http}") as rotel:
        with exporting(http_exporter(rotel.port)) as exporter:

            async def is_shown() -> bool:
                call(frontend, cart)
                for service in (frontend, cart):
                    assert await asyncio.to_thread(exporter.export, service.take()) is SpanExportResult.SUCCESS
                edge = otel.edge("frontend", "cart")
                return edge is not None and edge.traffic is not None and edge.traffic.gap_ms is not None

            await eventually(is_shown, 30)


@pytest.mark.parametrize("sender", SENDERS)
async def test_two_services_are_two_applications_with_an_edge(otel: Otel, sender: str) -> None:
    frontend, cart = Service("frontend", service__namespace="shop"), Service("cart", service__namespace="shop")
    port = otel.grpc if sender == "grpc" else otel.http
    with exporting(SENDERS[sender](port)) as exporter:

        async def is_shown() -> bool:
            for number in range(20):
                call(frontend, cart, is_error=number < 5)
            for service in (frontend, cart):
                assert await asyncio.to_thread(exporter.export, service.take()) is SpanExportResult.SUCCESS
            edge = otel.edge("frontend", "cart")
            return edge is not None and edge.traffic is not None and edge.traffic.gap_ms is not None

        await eventually(is_shown, 30)
    edge = otel.edge("frontend", "cart")
    assert edge is not None
    assert edge.traffic is not None
    assert (edge.kind, edge.peer, edge.direction) == ("http", Ref("test", "app", "cart", "shop"), "out")
    assert edge.traffic.error_rate == 0.25
    assert edge.traffic.gap_ms == pytest.approx(4.0, rel=0.06)
    assert edge.traffic.latency_ms == pytest.approx(12.0, rel=0.06)
    assert edge.traffic.requests_per_sec is not None
    assert edge.traffic.requests_per_sec > 0
