"""A small shop on the streams: what a user of the command finds, published by a bare client."""

from datetime import UTC, datetime, timedelta
from typing import Final

from nats.aio.client import Client

from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.health import Aggregate, Health, KindHealth, Reason
from kgents_shared.contract.pulse import DatabasePulse, Memory, Pool, ResourcePulse
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from support.kgents_command import publish

CART: Final = Ref("prod", "pod", "cart-7f", "shop")
WEB: Final = Ref("prod", "pod", "web-0", "shop")
CART_MAIN: Final = Ref("prod", "container", "cart-7f/main", "shop")
CART_PROXY: Final = Ref("prod", "container", "cart-7f/proxy", "shop")
DEPLOYMENT: Final = Ref("prod", "deployment", "cart", "shop")
SERVICE: Final = Ref("prod", "service", "cart", "shop")
NODE: Final = Ref("prod", "node", "n3")
ORDERS: Final = Ref("prod", "database", "orders", "shop")
STREAM: Final = Ref("prod", "nats_stream", "ORDERS", "$G")
ELSEWHERE: Final = Ref("lab", "database", "ledger")


def entity(ref: Ref, status: str = "running", **fields: object) -> TopologyEntity:
    return TopologyEntity(**{"text": f"{ref} is {status}", "ref": ref, "status": status, "sources": ["k8s"], **fields})  # type: ignore[arg-type]


def connection(kind: str, peer: Ref, direction: str = "out") -> ResolvedConnection:
    return ResolvedConnection(kind=kind, peer=peer, direction=direction, source="k8s")


def entities(now: datetime) -> list[TopologyEntity]:
    created = now - timedelta(hours=3)
    return [
        entity(
            CART,
            "failed",
            reason="OOMKilled",
            uid="uid-cart",
            labels={"app": "cart", "tier": "web"},
            attributes={"kgents.k8s.pod.restart_count": 7, "k8s.node.name": "n3", "k8s.pod.ip": "10.0.0.7"},
            addresses=["10.0.0.7"],
            created_at=created,
            connections=[
                connection("runs_on", NODE),
                connection("depends", ORDERS),
                connection("owns", DEPLOYMENT, "in"),
            ],
        ),
        entity(
            WEB,
            labels={"app": "web"},
            attributes={"kgents.k8s.pod.restart_count": 0, "k8s.node.name": "n3"},
            created_at=created,
            connections=[connection("runs_on", NODE)],
        ),
        entity(
            CART_MAIN,
            "failed",
            attributes={"kgents.k8s.container.type": "app"},
            connections=[connection("owns", CART, "in")],
        ),
        entity(
            CART_PROXY,
            attributes={"kgents.k8s.container.type": "sidecar"},
            connections=[connection("owns", CART, "in")],
        ),
        entity(
            DEPLOYMENT,
            attributes={"k8s.deployment.desired_pods": 2, "kgents.k8s.deployment.ready_pods": 1},
            labels={"app": "cart"},
            created_at=created,
        ),
        entity(SERVICE, attributes={"k8s.service.type": "ClusterIP"}, connections=[connection("routes", CART)]),
        entity(NODE, attributes={"kgents.k8s.kubelet.version": "v1.34.1"}),
        entity(ORDERS, sources=["db"], attributes={"db.system.name": "postgresql", "service.version": "17.6"}),
        entity(STREAM, sources=["nats"], attributes={"kgents.nats.replicas": 3}),
        entity(ELSEWHERE, sources=["db"]),
    ]


def health(now: datetime) -> list[Health]:
    memory = Reason(
        check="KG-102",
        text="It uses 97 % of its memory, more than 90 %.",
        severity=0.6,
        value=0.97,
        threshold=0.9,
        unit="1",
        evidence="KGENTS_PULSE:17",
    )
    lag = Reason(check="KG-310", text="Replication lag is 12 s, more than 10 s.", severity=0.3)
    aggregate = Aggregate(
        "critical", {"healthy": 2, "warning": 1, "critical": 1}, 0.8, {"pod": KindHealth(2, critical=1)}
    )
    since = now - timedelta(minutes=4)
    return [
        Health("bad", CART, score=0.4, level="critical", reasons=[memory], evaluated=3, applicable=4, since=since),
        Health("slow", ORDERS, score=0.7, level="warning", reasons=[lag], since=since),
        Health("fine", WEB, score=1.0, level="healthy"),
        Health("fine", NODE, score=1.0, level="healthy"),
        Health(
            "cluster prod is critical", Ref("prod", "cluster", "prod"), score=0.4, level="critical", aggregate=aggregate
        ),
    ]


def alerts(now: datetime) -> list[Alert]:
    started = now - timedelta(minutes=4)
    return [
        Alert("Replication lag is 12 s.", ORDERS, "KG-310", "pending", "warning", started_at=started),
        Alert("It uses 97 % of its memory.", CART, "KG-102", "firing", "critical", started_at=started),
        Alert("It was not ready.", WEB, "KG-110", "resolved", "warning", started_at=started, ended_at=now),
    ]


def pulses(now: datetime) -> list[ResourcePulse | DatabasePulse]:
    return [
        ResourcePulse(ref=CART, source="k8s", timestamp=now, interval_s=15.0, cpu_percent=5.0, memory_bytes=1),
        ResourcePulse(
            ref=CART,
            source="k8s",
            timestamp=now,
            interval_s=15.0,
            cpu_percent=37.5,
            memory_bytes=124_000_000,
            memory_limit_bytes=128_000_000,
            network_rx_bytes=10_240.5,
            custom={"memory_limit_ratio": 0.97, "requests_per_sec": 41.5},
        ),
        ResourcePulse(
            ref=WEB, source="k8s", timestamp=now, interval_s=15.0, cpu_percent=150.0, memory_bytes=48_100_000
        ),
        DatabasePulse(
            ref=ORDERS,
            source="db",
            backend="postgres",
            timestamp=now,
            interval_s=10.0,
            phase="degraded",
            cause="blocked sessions",
            pool=Pool(active=90, max=100),
            memory=Memory(used_mb=811.5),
            performance={"qps": 412.0},
        ),
        ResourcePulse(
            ref=STREAM,
            source="nats",
            timestamp=now,
            interval_s=5.0,
            custom={"messages": 1_200_000.0, "bytes": 48_100_000.0},
        ),
    ]


def events(now: datetime) -> list[Event]:
    killed = now - timedelta(minutes=2)
    return [
        Event(
            "Container main was killed for memory.", "1", CART, "k8s", "Warning", "OOMKilled", "error", killed, killed
        ),
        Event("web-0 was scheduled on n3.", "2", WEB, "k8s", "Normal", "Scheduled", "info", killed, killed),
    ]


async def publish_shop(client: Client) -> None:
    now = datetime.now(UTC)
    for message in (*entities(now), *health(now), *alerts(now), *pulses(now), *events(now)):
        await publish(client, message)
