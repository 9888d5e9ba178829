"""Real services and what they observe, scraped by a real Prometheus: for the dashboards and alert rules."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.pulse import DatabasePulse, Pulse, ResourcePulse
from kgents_shared.contract.vocabulary.figures import docker, kubernetes, postgres, qdrant, redis
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM
from kgents_shared.runtime.sections import TelemetryConfig
from kgents_shared.runtime.telemetry import Telemetry
from support.db_service import watching
from support.nats_server import NatsServer
from support.pgbouncer_server import PgbouncerServer
from support.ports import free_port
from support.postgres_server import PostgresServer
from support.prometheus import Prometheus, target
from support.qdrant_stub import QdrantStub
from support.redis_server import RedisServer
from support.service_process import ServiceProcess
from support.streams import provision_streams

SERVICES: Final = ("collector-nats", "collector-db", "topology-builder", "health-scorer")
_KUBERNETES: Final = (("node", "n1"), ("deployment", "cart"), ("service", "cart"), ("pod", "cart-1"))
_BUSY: Final = (
    postgres.DEAD_TUPLES_WORST_RATIO, qdrant.REQUEST_DURATION_SECONDS, qdrant.REQUEST_FAILURE_RATIO, qdrant.MMAPS_RATIO,
    qdrant.FDS_RATIO, qdrant.DEAD_REPLICAS, "qdrant_peers",
)  # fmt: skip
"""Of databases that are used, and of clusters of Qdrant."""
_RULES: Final = Path(__file__).parents[2] / "deploy" / "observability" / "prometheus" / "rules.yml"
_JOB: Final = "- {{job_name: kgents-{name}, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}"


class Observed:
    """The services by name, the ports of their metrics, and the Prometheus."""

    def __init__(
        self, services: Mapping[str, ServiceProcess], ports: Mapping[str, int], prometheus: Prometheus
    ) -> None:
        self.services = services
        self.ports = ports
        self.prometheus = prometheus


def entities() -> list[Entity]:
    """Of Kubernetes, which has no server here; one of them has failed, so that an alert fires."""
    found = [Entity(ref=Ref("test", kind, name, "shop"), source="k8s", status="running") for kind, name in _KUBERNETES]
    return [*found, Entity(ref=Ref("test", "pod", "broken", "shop"), source="k8s", status="failed", reason="Error")]


def pulses() -> Iterator[Pulse]:
    """Of what has no server here: containers, nodes, pods, and databases that are replicated."""
    now = datetime.now(UTC)
    of_docker = {each.name: 0.5 for each in docker.FIGURES if each.section == CUSTOM}
    of_kubernetes = {each.name: 0.5 for each in kubernetes.FIGURES}
    for source, kind, custom in (
        ("docker", "container", of_docker), ("docker", "host", of_docker),
        ("k8s", "node", of_kubernetes), ("k8s", "pod", of_kubernetes),
    ):  # fmt: skip
        yield ResourcePulse(
            ref=Ref("test", kind, "one", "shop"), source=source, timestamp=now, interval_s=3600.0, custom=dict(custom),
            cpu_percent=12.0, memory_bytes=1_000, memory_limit_bytes=2_000, network_rx_bytes=1.0, network_tx_bytes=2.0,
        )  # fmt: skip
    replication = {each.name: 1.0 for each in (*postgres.FIGURES, *redis.FIGURES) if each.section == "replication"}
    yield DatabasePulse(
        ref=Ref("test", "database", "replicated"), source="db", backend="postgresql", timestamp=now, interval_s=3600.0,
        phase="healthy", replication={**replication, "lag_bytes": 1.0, "link_up": 1.0},
        custom=dict.fromkeys(_BUSY, 0.5),
    )  # fmt: skip


@asynccontextmanager
async def observed(folder: Path) -> AsyncIterator[Observed]:
    """NATS, databases, the services that observe and judge them, and a Prometheus with our rules."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(NatsServer(folder / "nats"))
        async with Bus(NatsConfig(url=server.url), name="test") as bus:
            await provision_streams(bus)
            session = await bus.session()
            for each in entities():
                await session.request(each.ref.subject("entity", source="k8s"), encode(each))
        postgres_server = await stack.enter_async_context(PostgresServer(folder / "postgres"))
        pooler = await stack.enter_async_context(PgbouncerServer(folder / "pgbouncer", postgres_server))
        redis_server = await stack.enter_async_context(RedisServer(folder / "redis", "appendonly yes"))
        qdrant_server = await stack.enter_async_context(QdrantStub())
        ports = {service: free_port() for service in SERVICES}
        config = folder / "kgents.yaml"
        config.write_text(
            yaml.safe_dump(
                {
                    "collector-nats": {"monitor_urls": [server.monitor_url], "poll_interval_s": 1},
                    "collector-db": {
                        "postgres": {"orders": watching(folder, postgres_server.port)},
                        "pgbouncer": {"pool": watching(folder, pooler.port)},
                        "redis": {"cache": {"port": redis_server.port, "interval_s": 1}},
                        "qdrant": {"vectors": {"url": qdrant_server.url, "interval_s": 1}},
                    },
                }
            )
        )
        services = {}
        for service, port in ports.items():
            settings: dict[str, Any] = {"probes__port": str(port), "telemetry__figures": json.dumps(["*"])}
            process = ServiceProcess(service, server.url, folder, config=config, **settings)
            services[service] = await stack.enter_async_context(process)
        telemetry = Telemetry(TelemetryConfig(figures=["*"]), service="stand-in", version="0", instance="one")
        for pulse in pulses():
            telemetry.figures.take(pulse)
        ports["stand-in"] = await stack.enter_async_context(target(lambda: telemetry.render().decode()))
        lines = [
            "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}",
            f"rule_files: [{_RULES}]",
            "scrape_configs:",
            *(_JOB.format(name=name, port=port) for name, port in ports.items()),
        ]
        prometheus = Prometheus(folder, config="\n".join(lines) + "\n")
        yield Observed(services, ports, await stack.enter_async_context(prometheus))
