"""The service as a process: without NATS it works, with it the status has figures, and probes say how it is."""

import asyncio
import json
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import Collections, DatabasePulse, Memory, Pool
from support.audit import records
from support.fixtures import bus, server
from support.nats_server import NatsServer
from support.operated import NAMESPACE, Site
from support.operated_qdrant import QdrantSite
from support.operated_redis import RedisSite
from support.ports import free_port
from support.service_process import ServiceProcess
from support.waiting import eventually

__all__ = ["bus", "server"]
pytestmark = pytest.mark.timeout(120)


def operator(url: str, directory: Path, kubeconfig: Path, port: int) -> ServiceProcess:
    return ServiceProcess(
        "operator",
        url,
        directory,
        probes__port=str(port),
        operator__kubeconfig=str(kubeconfig),
        operator__lease_namespace=NAMESPACE,
    )


async def probed(port: int, path: str) -> tuple[int, str]:
    def read() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    return await asyncio.to_thread(read)


async def test_without_nats_databases_are_looked_after(site: Site, kubeconfig: Path, tmp_path: Path) -> None:
    port = free_port()
    async with operator(f"nats://127.0.0.1:{free_port()}", tmp_path, kubeconfig, port) as process:
        await site.create()
        await eventually(site.is_ready, 30)

        async def is_ready() -> bool:
            return (await probed(port, "/readyz"))[0] == 200

        await eventually(is_ready)
        assert (await probed(port, "/livez"))[0] == 200
        assert "process_cpu_seconds_total" in (await probed(port, "/metrics"))[1]
        assert site.condition("MetricsAvailable")[0] == "Unknown"
        assert "connections" not in site.status()
        secrets = [
            value
            for each in site.api.objects("secrets", NAMESPACE)
            for key, value in each["data"].items()
            if key == "password"
        ]
        said = process.log.read_text() + json.dumps(site.resource()) + json.dumps(site.api.objects("events", NAMESPACE))
        assert len(secrets) == 4
        assert not [each for each in secrets if each in said or decoded(each) in said]


def decoded(value: str) -> str:
    import base64  # noqa: PLC0415 - of this alone

    return base64.b64decode(value).decode()


async def test_figures_are_those_of_the_pulses(
    site: Site, kubeconfig: Path, tmp_path: Path, bus: Bus, server: NatsServer
) -> None:
    ref = Ref("test", "database", "orders-0", NAMESPACE)
    pulse = DatabasePulse(
        ref=ref, source="db", backend="postgres", timestamp=datetime.now(UTC), interval_s=600.0, phase="healthy",
        pool=Pool(active=3, idle=5, waiting=None),
    )  # fmt: skip
    redis = DatabasePulse(
        ref=Ref("test", "database", "cache-0", NAMESPACE), source="db", backend="valkey", timestamp=datetime.now(UTC),
        interval_s=600.0, phase="healthy", pool=Pool(active=7), memory=Memory(used_mb=41.6),
        performance={"hit_rate": 0.934},
    )  # fmt: skip
    peer = DatabasePulse(
        ref=Ref("test", "database", "vectors-0", NAMESPACE), source="db", backend="qdrant", timestamp=datetime.now(UTC),
        interval_s=600.0, phase="healthy", collections=Collections(count=1, vectors=7),
    )  # fmt: skip
    articles = DatabasePulse(
        ref=Ref("test", "collection", "vectors-0/articles", NAMESPACE), source="db", backend="qdrant",
        timestamp=datetime.now(UTC), interval_s=600.0, phase="healthy", custom={"qdrant_points": 7.0},
    )  # fmt: skip
    session = await bus.session()
    for each in (pulse, redis, peer, articles):
        await session.request(each.ref.subject("pulse", source="db"), encode(each))
    async with operator(server.url, tmp_path, kubeconfig, free_port()):
        await site.create()
        await eventually(site.is_ready, 30)
        await eventually(lambda: site.condition("MetricsAvailable") == ("True", "Measured"), 30)
        caches = RedisSite(site.api, site.client)
        await caches.create()
        await caches.create("orders")
        vectors = QdrantSite(site.api, site.client)
        await vectors.create(collections=[{"name": "articles", "dimensions": 3}])
        await eventually(lambda: vectors.condition("CollectionsMade") == ("True", "Made"), 30)
        await eventually(lambda: caches.condition("MetricsAvailable") == ("True", "Measured"), 30)
        await eventually(lambda: caches.condition("Accepted", "orders") == ("False", "NameTaken"), 30)
        assert vectors.status()["collections"] == [{"name": "articles", "vectors": 7}]
        await vectors.change({"spec": {"deletionPolicy": "Delete"}})
        await eventually(vectors.is_ready)
        await vectors.delete()

        async def is_recorded() -> bool:
            return bool([each for each in await records(bus) if each.text.endswith("vectors: was deleted")])

        await eventually(is_recorded, 30)
        found_records = {each.text: each for each in await records(bus)}
    assert {each.action for each in found_records.values()} == {"operate"}
    assert {each.stage for each in found_records.values()} == {"done"}
    made = found_records["PostgresCluster shop/orders: StatefulSet orders was made"]
    assert made.after is not None
    assert made.after["images"][0].startswith("docker.io/library/postgres:17")
    assert "PostgresCluster shop/orders: Secret orders-credentials was made" in found_records
    changed = found_records["QdrantCluster shop/vectors: StatefulSet vectors was changed"]
    assert changed.before == changed.after, "its volumes' policy is another one"
    assert found_records["QdrantCluster shop/vectors: was deleted"].before == {"deletionPolicy": "Delete"}
    measured = caches.status()
    assert [measured[each] for each in ("memoryUsage", "hitRate", "connections")] == ["42Mi", "0.93", 7]
    assert caches.condition("MetricsAvailable", "orders") == ("Unknown", "NoFigures"), "a PostgreSQL has them"
    found: dict[str, Any] = site.status()
    assert found["connections"] == {"active": 3, "idle": 5}, "what is not known is absent"
    assert found["measuredAt"] == pulse.timestamp.strftime("%Y-%m-%dT%H:%M:%SZ")
