"""`python -m demo FILE`: run the shop for five minutes with its incident, and write what collectors publish to FILE.

As root on Linux, in a network of its own: two Kubernetes clusters on API stand-ins, whose pods are real processes with
OpenTelemetry in them; a PostgreSQL, a Redis and a NATS of the shop; the collectors as they are in production. What
happens is done, not written: version 1.9 of checkout holds five times the connections, and everything else follows.
Names and addresses are those of the shop, so the file says nothing of the machine that made it.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import nats
from msgspec import structs
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

import kgents.testing
from demo.cluster import Cluster
from kgents_shared.contract.codec import META, encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.recording import SIGNALS, STATE, Encoder, Recording, Row
from kgents_shared.runtime.config import process_environ
from kgents_shared.view.find import path_of
from support.nats_server import NatsServer
from support.postgres_server import PostgresServer
from support.process import spawn
from support.redis_server import RedisServer
from support.waiting import eventually

EU: Final = "demo-shop-eu"
US: Final = "demo-shop-us"
INSIDE: Final = "KGENTS_DEMO_INSIDE"
DATABASE: Final = "10.20.0.5"
HOSTS: Final = f"127.0.0.1 localhost shop\n{DATABASE} orders-db.shop.svc\n10.20.0.6 cart-cache.shop.svc\n"
REPLICAS: Final = {
    EU: {"frontend": 8, "catalog": 5, "search": 5, "cart": 4, "checkout": 4, "orders": 4, "payments": 4},
    US: {"frontend": 4, "catalog": 4, "search": 4, "cart": 3, "payments": 4},
}
CONNECTIONS: Final = 60
DATABASES: Final = """
collector-db:
  postgres:
    orders-db: {host: orders-db.shop.svc, namespace: shop, user: root, database: postgres, interval_s: 5}
  redis:
    cart-cache: {host: cart-cache.shop.svc, namespace: shop}
"""
CONSUMERS: Final = (("ORDERS", "payments"), ("ORDERS", "mails"), ("PAYMENTS", "ledger"), ("MAILS", "smtp"))
STORY: Final = (
    (10.0, "roll", "checkout 1.9 is rolled out: each of its pods holds 20 connections to orders-db, no longer 4."),
    (92.0, "back", "checkout is rolled back to 1.8."),
)
"""Second, what is done, and what the feed says of it. Calls are judged by the minute: most of the first one fails, and
after the rollback three good ones are left, which end what was found."""
LENGTH_S: Final = 308.0
ORIGIN: Final = "database/shop/orders-db"
"""What the recording is about."""
PROGRAM: Final = Path(sys.executable).with_name("kgents")


def main(file: Path) -> None:
    """Begin in a network, host name and `/etc/hosts` of its own."""
    if process_environ().get(INSIDE):
        asyncio.run(_make(file))
        return
    with tempfile.NamedTemporaryFile("w", suffix=".hosts") as hosts:
        hosts.write(HOSTS)
        hosts.flush()
        script = (
            f"hostname shop && mount --bind {hosts.name} /etc/hosts && ip link set lo up"
            f" && ip address add {DATABASE}/32 dev lo && ip address add 10.20.0.6/32 dev lo"
            f' && exec "$0" -m demo "$1"'
        )
        command = ["unshare", "-n", "-m", "-u", "bash", "-c", script, sys.executable, str(file.absolute())]
        subprocess.run(command, check=True, env={**process_environ(), INSIDE: "1"})


async def _make(file: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        directory = Path(folder)
        raw = directory / "raw.kgrec"
        async with AsyncExitStack() as stack:
            bus = await stack.enter_async_context(NatsServer(directory / "bus"))
            run = _Run(bus.url, directory, stack)
            run.command("provision")
            await run.servers()
            await run.clusters()
            await asyncio.sleep(55)  # what is usual, and every slow poll, is there before the recording begins
            recorder = run.start("record", str(raw), "--for", f"{LENGTH_S:.0f}s")
            await eventually(raw.with_name(f"{raw.name}.part").exists)  # it is attached
            await run.story()
            await asyncio.to_thread(recorder.wait)
        _write(raw, file)
    _check(file)


class _Run:
    """The shop at work."""

    def __init__(self, url: str, directory: Path, stack: AsyncExitStack) -> None:
        self._url = url
        self._directory = directory
        self._stack = stack
        self.eu = Cluster(EU, 244, REPLICAS[EU], "http://127.0.0.1:4318/v1/traces", directory)
        self.us = Cluster(US, 245, REPLICAS[US], "http://127.0.0.1:4328/v1/traces", directory)
        self._probes: list[asyncio.Task[None]] = []

    def command(self, *arguments: str) -> None:
        subprocess.run([str(PROGRAM), *arguments, "--nats", self._url], check=True)

    def start(self, *arguments: str, **settings: str) -> "subprocess.Popen[bytes]":
        """One of our own commands; it ends with the shop."""
        name = "-".join(each for each in arguments if "/" not in each)
        log = self._stack.enter_context((self._directory / f"{name}.log").open("ab"))
        environ = {**process_environ(), **settings}
        process = spawn([str(PROGRAM), *arguments, "--nats", self._url], env=environ, stdout=log, stderr=log)
        self._stack.callback(process.wait)
        self._stack.callback(process.terminate)
        return process

    async def servers(self) -> None:
        """The databases of the first cluster, its NATS, and who collects from them."""
        settings: Any = {"listen_addresses": f"127.0.0.1,{DATABASE}", "max_connections": CONNECTIONS}
        database = PostgresServer(self._directory / "postgres", version=15, statements=False, **settings)
        database.port = 5432
        await self._stack.enter_async_context(database)
        await database.sql("create role shop login")
        hba = database.data / "pg_hba.conf"
        hba.write_text(hba.read_text() + "host all all 10.0.0.0/8 trust\n")
        await database.sql("select pg_reload_conf()")
        cache = RedisServer(self._directory, "bind 127.0.0.1 10.20.0.6", "maxmemory 64mb", "protected-mode no")
        cache.port = 6379
        await self._stack.enter_async_context(cache)
        shop = NatsServer(self._directory / "shop-nats", name="shop-nats")
        await self._stack.enter_async_context(shop)
        await self._messages(shop.url)
        settings_file = self._directory / "databases.yaml"
        settings_file.write_text(DATABASES)
        self.start("run", "collector-db", "--cluster", EU, "--config", str(settings_file))
        self.start(
            "run", "collector-nats", "--cluster", EU,
            KGENTS__COLLECTOR_NATS__MONITOR_URLS=f'["{shop.monitor_url}"]',
        )  # fmt: skip

    async def _messages(self, url: str) -> None:
        """Streams of the shop, and who publishes to them and reads them."""
        client = await nats.connect(url, name="orders")
        self._stack.push_async_callback(client.close)
        streams = JetStreamContext(client)
        for name in ("ORDERS", "PAYMENTS", "MAILS"):
            await streams.add_stream(name=name, subjects=[f"shop.{name.lower()}.>"], max_msgs=10_000)
        for stream, consumer in CONSUMERS:
            await streams.add_consumer(stream, ConsumerConfig(durable_name=consumer))

        async def flow() -> None:
            number = 0
            while True:
                number += 1
                for name in ("orders", "payments", "mails"):
                    await streams.publish(f"shop.{name}.new", b"%d" % number)
                for stream, consumer in CONSUMERS:
                    subscription = await streams.pull_subscribe("", durable=consumer, stream=stream)
                    for message in await subscription.fetch(5, timeout=2):
                        await message.ack()
                    await subscription.unsubscribe()
                await asyncio.sleep(1)

        self._probes.append(asyncio.create_task(flow()))

    async def clusters(self) -> None:
        """Both clusters, and who collects from them."""
        for cluster, grpc, http in ((self.eu, 4317, 4318), (self.us, 4327, 4328)):
            await self._stack.enter_async_context(cluster.api)
            self._stack.push_async_callback(cluster.close)
            kubeconfig = cluster.api.kubeconfig(self._directory / f"{cluster.name}.json")
            self.start(
                "run", "collector-k8s", "--cluster", cluster.name, KGENTS__COLLECTOR_K8S__KUBECONFIG=str(kubeconfig)
            )
            self.start(
                "run", "collector-otel", "--cluster", cluster.name,
                KGENTS__COLLECTOR_OTEL__GRPC__PORT=str(grpc), KGENTS__COLLECTOR_OTEL__HTTP__PORT=str(http),
            )  # fmt: skip
        await self.eu.create()
        self.us.elsewhere = self.eu
        await self.us.create()
        self._probes += [asyncio.create_task(each.probe()) for each in (self.eu, self.us)]

    async def story(self) -> None:
        """What is done, at its time; the rest of the recording is what follows from it."""
        begin_s = asyncio.get_running_loop().time()
        client = await nats.connect(self._url)
        for at_s, what, text in STORY:
            await asyncio.sleep(begin_s + at_s - asyncio.get_running_loop().time())
            await self._say(client, what, text)
            if what == "roll":
                self.eu.roll("checkout", "1.9", "7c6d9b5f48", 20)
            else:
                self.eu.roll("checkout", "1.8", "5d8f7c9b64", 4)
        await client.close()

    async def _say(self, client: Any, what: str, text: str) -> None:
        """A line of the feed, by who does it."""
        now = datetime.now(UTC)
        event = Event(
            text=text, id=f"demo-{what}", ref=Ref(EU, "deployment", "checkout", "shop"), source="demo", type="Normal",
            reason="Rollout", severity="info", first_at=now, last_at=now, message=text,
        )  # fmt: skip
        await client.request(event.ref.subject("event", source="demo"), encode(event))


def _write(raw: Path, file: Path) -> None:
    """Only what is replayed, without what a heartbeat says of its own process."""
    encoder = Encoder()
    with raw.open("rb") as opened:
        recording = Recording(opened)
        rows = [each for row in recording.rows() for each in _kept(row)]
        parts = [encoder.begin([EU, US], recording.header.started_at, "tools/demo")]
    rows.sort(key=lambda row: row.kind != STATE)  # stable: the state first
    parts += [encoder.member(rows[begin : begin + 500]) for begin in range(0, len(rows), 500)]
    file.write_bytes(b"".join([*parts, encoder.end()]))
    print(f"{file}: {len(rows)} messages, {file.stat().st_size // 1024} KiB")  # noqa: T201 - a tool


def _check(file: Path) -> None:
    """Refuse one that does not end as it began: then this machine was too busy, or a service has changed."""
    incident = kgents.testing.replay(file)
    unwell = [str(each.ref) for each in incident.entities if each.level != "healthy"]
    origins = [path_of(each.ref) for each in incident.roots if each.explained]
    if incident.firing or unwell or origins != [ORIGIN]:
        found = f"{origins}, firing in the end {incident.firing}, not healthy {unwell}"
        sys.exit(f"expected the origin {ORIGIN} and all healthy in the end, found {found}; try: an idle machine")


def _kept(row: Row) -> Iterable[Row]:
    if row.signal not in SIGNALS:
        return
    if row.signal == "meta":
        beat = META.decode(row.body)
        if not isinstance(beat, Heartbeat) or not beat.source:
            return
        beat = structs.replace(beat, cost=None, watermark={}, publishes=[], consumes=[])
        row = structs.replace(row, body=encode(beat))
    yield structs.replace(row, headers=None, seq=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
