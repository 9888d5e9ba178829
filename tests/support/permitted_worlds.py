"""What each service collects, and what has to happen for it to need all of its permissions."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import gethostname
from typing import Any

import httpx
import pytest

from kgents_shared.bus.audit import audited
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import last_message, stream_info, update_stream
from kgents_shared.contract.codec import INCIDENT, encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.wire import Wire
from kgents_shared.view.entity import key_of_ref
from support import kube_objects, streams
from support.archive import config_of, make_database
from support.audit import make_record
from support.build import make_entity, make_ref, make_removal, subject_of
from support.decisions import make_silence, stored
from support.docker_engine import NoEngineError, docker_engine
from support.http_stand_in import Reply, StandIn
from support.incidents import make_incident
from support.kube_api import KubeApi
from support.nats_server import NatsServer
from support.otel_senders import Service, call, exporting, http_exporter
from support.ports import free_port
from support.postgres_server import PostgresServer
from support.redis_server import RedisServer
from support.state import make_alert, make_event, make_health, make_topology, publish
from support.vendor_requests import action, event, interaction, signed_as_pagerduty, signed_as_slack
from support.waiting import eventually

CLUSTER = "test"
LOST_AND_KEPT = [Ref(CLUSTER, "pod", name, "shop") for name in ("lost", "kept")]


# What each service collects, and what has to happen for it to need everything

Happen = Callable[[], Awaitable[None]]
World = tuple[dict[str, object], Happen]


@asynccontextmanager
async def kubernetes(directory: Path, _: NatsServer, bus: Bus) -> AsyncIterator[World]:
    known = make_event()
    await store(bus, known.ref.subject("event", source="k8s"), known)
    async with KubeApi() as api:
        api.create(kube_objects.namespace("shop"))
        node = api.create(kube_objects.node("node-1"))
        for content in kube_objects.deployment("cart", "shop", replicas=1):
            api.create(content)
        api.set_metrics("pods", [kube_objects.pod_metrics(each) for each in api.objects("pods")])
        api.set_metrics("nodes", [kube_objects.node_metrics(each) for each in api.objects("nodes")])

        async def happen() -> None:
            api.create(kube_objects.event(node, "NodeReady", "it is ready"))

        kubeconfig = api.kubeconfig(directory / "kubeconfig")
        yield {"collector_k8s__kubeconfig": kubeconfig, "collector_k8s__metrics_interval_s": 10}, happen


@asynccontextmanager
async def docker(_: Path, __: NatsServer, ___: Bus) -> AsyncIterator[World]:
    try:
        engine = docker_engine()
    except NoEngineError as error:
        pytest.skip(str(error))

    async def happen() -> None:
        name = f"permissions-{os.getpid()}"
        async with engine.api() as api:
            await api.run(name)
            await api.remove(name)

    yield {"collector_docker__engines": f'[{{"url": "{engine.url}"}}]', "collector_docker__poll_interval_s": 1}, happen


@asynccontextmanager
async def database(directory: Path, _: NatsServer, bus: Bus) -> AsyncIterator[World]:
    async with RedisServer(directory / "redis") as server:
        config = directory / "kgents.yaml"
        redis = {"main": {"port": server.port, "interval_s": 1}}
        config.write_text(json.dumps({"collector-db": {"redis": redis, "discovery": {}}}))

        async def is_polled() -> bool:
            return await last_message(await bus.session(), "KGENTS_PULSE", "kgents.pulse.test.db.>") is not None

        async def happen() -> None:
            await eventually(is_polled)
            server.kill()
            await server.start()

        yield {"config": config}, happen


@asynccontextmanager
async def nats(_: Path, server: NatsServer, bus: Bus) -> AsyncIterator[World]:
    async def happen() -> None:
        session = await bus.session()
        await session.api("STREAM.CREATE.ORDERS", {"name": "ORDERS", "subjects": ["orders"]}, dict[str, Any])

    yield (
        {
            "collector_nats__monitor_urls": f'["{server.monitor_url}"]',
            "collector_nats__poll_interval_s": 1,
        },
        happen,
    )


@asynccontextmanager
async def traces(directory: Path, _: NatsServer, bus: Bus) -> AsyncIterator[World]:
    port = free_port()

    async def happen() -> None:
        for version in ("1", "2"):
            frontend, cart = Service("frontend", service__version=version), Service("cart")

            async def is_stored(version: str = version, services: tuple[Service, ...] = (frontend, cart)) -> bool:
                call(*services)
                with exporting(http_exporter(port)) as exporter:
                    for each in services:
                        await asyncio.to_thread(exporter.export, each.take())
                stored = await last_message(
                    await bus.session(), "KGENTS_ENTITY", "kgents.entity.test.otel.app._.frontend"
                )
                return stored is not None and f'"{version}"'.encode() in stored.payload

            await eventually(is_stored)

    settings: dict[str, object] = {
        "collector_otel__http__port": port,
        "collector_otel__grpc__port": free_port(),
        "collector_otel__window_s": 2,
        "collector_otel__edges__idle_s": 2,
        "collector_otel__idle_s": 6,
    }
    yield settings, happen


@asynccontextmanager
async def entities(_: Path, __: NatsServer, bus: Bus) -> AsyncIterator[World]:
    async def happen() -> None:
        entity = make_entity()
        await store(bus, subject_of(entity), entity)
        await stored_in(bus, "KGENTS_TOPOLOGY", entity.ref)
        await store(bus, subject_of(entity), make_removal(entity))
        for each in LOST_AND_KEPT:
            await store(bus, each.subject("entity", source="k8s"), make_entity(ref=each))
            await stored_in(bus, "KGENTS_TOPOLOGY", each)
        await drop_all_but_the_last(bus, "KGENTS_ENTITY")

    yield {"topology_builder__clusters": f'["{CLUSTER}"]'}, happen


@asynccontextmanager
async def topology(_: Path, __: NatsServer, bus: Bus) -> AsyncIterator[World]:
    async def happen() -> None:
        ref = make_entity().ref
        failed = TopologyEntity(text="", ref=ref, status="failed")
        await store(bus, ref.subject("topology"), failed)
        await stored_in(bus, "KGENTS_ALERT", ref)
        await store(bus, ref.subject("topology"), TopologyEntity(text="", ref=ref, op="remove"))
        for each in LOST_AND_KEPT:
            await store(bus, each.subject("topology"), TopologyEntity(text="", ref=each))
            await stored_in(bus, "KGENTS_HEALTH", each)
        await drop_all_but_the_last(bus, "KGENTS_TOPOLOGY")

    yield {"health_scorer__clusters": f'["{CLUSTER}"]'}, happen


async def published_incidents(bus: Bus) -> list[Incident]:
    found = await streams.stored(bus, "KGENTS_INCIDENT")
    return [INCIDENT.decode(each.payload) for each in found if each.payload]


@asynccontextmanager
async def alerts(directory: Path, _: NatsServer, bus: Bus) -> AsyncIterator[World]:
    now = datetime.now(UTC)
    ended = make_incident(ref=make_ref("old"), state="resolved", ended_at=now - timedelta(days=40))
    await store(bus, ended.subject, ended)  # it is removed at once, and so is its history
    config = directory / "kgents.yaml"
    receiver = {"webhook": {"url": f"http://127.0.0.1:{free_port()}"}}
    routes = [{"to": ["tool"], "wait_s": 0}]
    port, secret = free_port(), directory / "signing"
    secret.write_text("signs")
    inbound = {"port": port, "slack_secret_file": str(secret), "pagerduty_secret_file": str(secret)}
    settings = {"receivers": {"tool": receiver}, "routes": routes, "inbound": inbound}
    config.write_text(json.dumps({"alert-notifier": settings}))

    async def happen() -> None:
        firing = make_alert(started_at=now)
        await store(bus, firing.ref.subject("alert", check=firing.check), firing)

        async def has_notice() -> bool:
            return await last_message(await bus.session(), "KGENTS_NOTICE", "kgents.notice.test.tool.>") is not None

        await eventually(has_notice)
        (incident,) = [each for each in await published_incidents(bus) if each.state == "open"]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for does in ("acknowledged", "unacknowledged"):
                paged = event(f"incident.{does}", key=incident.id, occurred_at=datetime.now(UTC).isoformat())
                headers = signed_as_pagerduty(paged, "signs")
                assert (await client.post("/pagerduty", content=paged, headers=headers)).status_code == 200
            for does in ("ack", "silence"):
                click = interaction(actions=[action(does, f"{incident.id}@1")])
                headers = signed_as_slack(click, "signs", datetime.now(UTC))
                assert (await client.post("/slack", content=click, headers=headers)).status_code == 200

    yield {"config": config, "alert_notifier__clusters": f'["{CLUSTER}"]'}, happen


@asynccontextmanager
async def questions(_: Path, __: NatsServer, bus: Bus) -> AsyncIterator[World]:
    port = free_port()
    pods = [make_topology(each.name, ref=each) for each in LOST_AND_KEPT]
    await publish(bus, *pods, make_health(ref=pods[0].ref), make_alert(ref=pods[0].ref), make_event(ref=pods[0].ref))
    sample = ResourcePulse(text="", ref=pods[0].ref, source="k8s", timestamp=datetime.now(UTC), interval_s=5)
    await store(bus, sample.ref.subject("pulse", source=sample.source), sample)
    incident = make_incident(ref=pods[0].ref)
    await stored(bus, incident, make_silence("loud", cluster=CLUSTER))

    async def happen() -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for path in (
                "/api/v1/entities?at=-1s",
                "/api/v1/entities?at=-1s&kinds=pod,node&levels=critical",
                f"/api/v1/entities/{key_of_ref(pods[0].ref)}/history",
                f"/api/v1/entities/{key_of_ref(pods[0].ref)}/metrics",
                "/api/v1/metrics",
                "/api/v1/metrics?kinds=pod,node",
                "/api/v1/metrics?at=-1s",
                "/api/v1/incidents?at=-1s",
                "/api/v1/events",
                "/api/v1/events?kinds=pod,node",
                "/api/v1/diff?since=-1s&until=-1s",
                "/api/v1/pipeline",
                f"/api/v1/incidents/{incident.id}",
                "/api/v1/silences",
            ):
                response = await client.get(path)
                assert response.status_code == 200, response.text
            silenced = {"matchers": [{"field": "name", "value": "x"}], "duration_s": 60, "reason": "x"}
            for path, body in (
                (f"/api/v1/incidents/{incident.id}/acknowledgement", {}),
                (f"/api/v1/silences/{incident.cluster}/quiet", silenced),
            ):
                assert (await client.put(path, json=body)).status_code == 200
                assert (await client.delete(path)).status_code == 200
        session = await bus.session()
        for subject in ("world.infra.topology", "world.v1.follow", "$SRV.PING", "$SRV.STATS.kgents-gateway"):
            answer = await session.request(subject)
            assert answer.data.startswith(b"{"), subject
            assert not answer.headers, subject

    yield {"gateway__port": port}, happen


async def store(bus: Bus, subject: str, message: Wire) -> None:
    await (await bus.session()).request(subject, encode(message))


async def drop_all_but_the_last(bus: Bus, stream: str) -> None:
    """What an operator's limit does to a stream whose messages no one may purge."""
    session = await bus.session()
    config = (await stream_info(session, stream)).config
    await update_stream(session, stream, {**config, "max_msgs": 1})
    await update_stream(session, stream, config)


async def stored_in(bus: Bus, stream: str, ref: Ref) -> None:
    """Wait until a stream has something about an entity."""
    name = f".{ref.name}"

    async def has_it() -> bool:
        session = await bus.session()
        info: dict[str, Any] = await session.api(f"STREAM.INFO.{stream}", {"subjects_filter": ">"}, dict)
        return any(name in subject for subject in info["state"].get("subjects", {}))

    await eventually(has_it)


@asynccontextmanager
async def machine(_: Path, __: NatsServer, bus: Bus) -> AsyncIterator[World]:
    name = PLACES["collector-host"]
    known = make_entity(ref=Ref(CLUSTER, "host", name), source=f"host-{name}", uid="the boot before")
    await store(bus, subject_of(known), known)

    async def happen() -> None:
        """It never rests."""

    yield {"collector_host__poll_interval_s": 1}, happen


@asynccontextmanager
async def archive(directory: Path, _: NatsServer, bus: Bus) -> AsyncIterator[World]:
    async with PostgresServer(directory / "postgres", statements=False) as postgres:
        await make_database(postgres)

        async def happen() -> None:
            await store(bus, Ref(CLUSTER, "pod", "cart", "shop").subject("topology"), make_topology("cart"))
            async with audited(bus, make_record()):  # which is chained, and anchored
                pass

        section = config_of(postgres)
        settings = {"host": section.host, "port": str(section.port), "user": section.user, "migrate": "auto"}
        settings["password"] = "secret"
        yield {f"archiver__{name}": value for name, value in settings.items()}, happen


@asynccontextmanager
async def exported(_: Path, __: NatsServer, bus: Bus) -> AsyncIterator[World]:
    pod = make_topology("cart")

    async def happen() -> None:
        await publish(bus, pod, make_health(ref=pod.ref), make_alert(ref=pod.ref))

    async with StandIn(lambda _: Reply()) as receiver:
        yield {"otlp_exporter__endpoint": receiver.url}, happen


PLACES = {"collector-host": gethostname()}
"""Where the services run that observe one place."""
WORLDS = {
    "collector-host": machine,
    "collector-k8s": kubernetes,
    "collector-docker": docker,
    "collector-db": database,
    "collector-nats": nats,
    "collector-otel": traces,
    "topology-builder": entities,
    "health-scorer": topology,
    "alert-notifier": alerts,
    "gateway": questions,
    "archiver": archive,
    "otlp-exporter": exported,
}
