"""The gateway's streams beside a bare ASGI application: CPU an event and client, snapshot, memory."""

import asyncio
import itertools
import re
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from bench.bare import connect
from bench.figures import Figure
from bench.fleet import peers_of, pod
from bench.latency import percentiles
from bench.run import Run
from bench.site import DEADLINE_S, Site, Worker, open_site, worker
from kgents_shared.contract.codec import encode
from support.ports import free_port
from support.state import make_topology

RATES: Final = ((20, 100, 6), (200, 100, 5), (2_000, 20, 3))
"""Events a second, clients, and for how many seconds."""
MANY: Final = (20, 1_000, 5)
FEW, MORE = (200, 20, 5), RATES[1]
"""One rate, by which is known what an event costs by itself, and what each client adds."""
ROUNDS: Final = 3
SNAPSHOTS: Final = 5
PATH: Final = "/api/infra/topology/stream"
READY: Final = b"event: ready\n"
UPSERT: Final = b"event: upsert\n"
VERSIONS: Final = itertools.count(1)
"""No message is like one before: it would change nothing."""
NUMBER: Final = re.compile(rb'"bench\.number":(\d+)')


class Reader(asyncio.Protocol):
    """A client that counts what it gets, at next to no cost; the one with `sent` also takes the time of each event."""

    def __init__(self, port: int, sent: dict[int, float] | None = None) -> None:
        self.events = self.received = 0
        self.seconds: list[float] = []
        self.is_ready = asyncio.Event()
        self._port = port
        self._sent = sent
        self._rest = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # it is one of TCP
        transport.write(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (PATH.encode(), self._port))

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        whole = self._rest + data
        cut = whole.rfind(b"\n") + 1
        lines, self._rest = whole[:cut], whole[cut:]
        if not self.is_ready.is_set() and READY in lines:
            self.is_ready.set()
        self.events += lines.count(UPSERT)
        if self._sent is not None:
            now = time.perf_counter()
            self.seconds += [now - sent for each in NUMBER.findall(lines) if (sent := self._sent.get(int(each)))]


class Served:
    """What one process did for its clients."""

    def __init__(self, cpu_us: float, seconds: list[float]) -> None:
        self.cpu_us = cpu_us
        """For each event that one client got."""
        self.seconds = seconds
        """From publishing to one of the clients."""


async def bench(run: Run) -> None:
    for size in run.sizes:
        async with open_site(run.directory, f"gateway-{size}") as site:
            site.services += ["topology-builder", "health-scorer"]
            await _of_size(run, site, size)
            if size == run.sizes[0]:
                await _of_rates(run, site, size)


async def _of_size(run: Run, site: Site, size: int) -> None:
    """What it takes to hold so many, and to hand them out."""
    run.progress(f"{size:,} entities: memory and snapshots")
    async with _serving("gateway", site) as (process, port):
        empty = await _rss_bytes(process, port)
    messages = [_message(number, size) for number in range(size)]
    await site.flood(messages, "KGENTS_TOPOLOGY")
    least = sum(len(data) for _, data in messages)
    payload = least / size
    async with _serving("gateway", site) as (process, port):
        full = await _rss_bytes(process, port)
        took = [await _snapshot_s(port, least) for _ in range(run.rounds(SNAPSHOTS))]
    report = partial(Figure, bench=run.name, size=size)
    beside = (full - empty) / size - payload
    run.report(report(name="memory an entity, beside its bytes", ours=beside, unit="B", at_most=1_024))
    at_most = 1.0 if size <= 10_000 else None
    run.report(report(name="whole snapshot at a client", ours=statistics.median(took), unit="s", at_most=at_most))


async def _of_rates(run: Run, site: Site, size: int) -> None:
    """What it takes to pass changes on."""
    async with _serving("gateway", site) as ours, _serving("bare-streams", site) as bare:
        for rate, clients, seconds in (*RATES, MANY):
            found: list[list[Served]] = [[], []]
            for round_ in range(run.rounds(ROUNDS)):
                run.progress(f"{rate:,} events/s to {clients:,} clients: round {round_ + 1}")
                for (process, port), served in zip((ours, bare), found, strict=True):
                    served.append(await _pass_on(site, process, port, (rate, clients, seconds), size))
            _report(run, f"{rate:,}/s to {clients:,} clients", found, rate)
        few_us, more_us = [await _event_us(run, site, ours, load, size) for load in (FEW, MORE)]
    added_us = (more_us - few_us) / (MORE[1] - FEW[1])
    report = partial(Figure, bench=run.name, unit="µs")
    run.report(report(name="CPU of an event, 200/s, each further client", ours=added_us, at_most=5))
    run.report(report(name="CPU of an event, 200/s, without a client", ours=few_us - added_us * FEW[1]))


async def _event_us(run: Run, site: Site, ours: tuple[Worker, int], load: tuple[int, int, int], size: int) -> float:
    """CPU of an event and all its clients."""
    served = [await _pass_on(site, *ours, load, size) for _ in range(run.rounds(ROUNDS))]
    return statistics.median(each.cpu_us for each in served) * load[1]


def _report(run: Run, at: str, found: list[list[Served]], rate: int) -> None:
    cpu_us = [statistics.median(each.cpu_us for each in served) for served in found]
    late_ms = [percentiles([second for each in served for second in each.seconds])[99] for served in found]
    report = partial(Figure, bench=run.name)
    name = f"CPU an event and client, {at}"
    run.report(report(name=name, ours=cpu_us[0], bare=cpu_us[1], unit="µs", at_most=1.3))
    if rate == 200:
        run.report(report(name=f"{name}, alone", ours=cpu_us[0], unit="µs", at_most=5))
    run.report(report(name=f"publish → client, p99, {at}", ours=late_ms[0], unit="ms", at_most=100))
    run.report(report(name=f"publish → client, p99, {at}, bare", ours=late_ms[1], unit="ms"))


async def _pass_on(site: Site, process: Worker, port: int, load: tuple[int, int, int], size: int) -> Served:
    rate, clients, seconds = load
    sent: dict[int, float] = {}
    first = Reader(port, sent)
    readers = [first, *(Reader(port) for _ in range(clients - 1))]
    loop = asyncio.get_running_loop()
    transports = [(await loop.create_connection(partial(_same, each), "127.0.0.1", port))[0] for each in readers]
    async with asyncio.timeout(DEADLINE_S):
        for each in readers:
            await each.is_ready.wait()
    begun = [each.events for each in readers]
    client = await connect(site.url)
    count, cpu_s, start = rate * seconds, process.cpu_s(), loop.time()
    for number in range(count):
        version = next(VERSIONS)
        subject, payload = _message(number % size, size, version)
        await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
        sent[version] = time.perf_counter()
        await client.publish(subject, payload)
    async with asyncio.timeout(DEADLINE_S):
        while any(each.events - before < count for each, before in zip(readers, begun, strict=True)):
            await asyncio.sleep(0.01)
    used_s = process.cpu_s() - cpu_s
    await client.close()
    for transport in transports:
        transport.abort()
    return Served(used_s * 1e6 / count / clients, first.seconds)


def _same(reader: Reader) -> Reader:
    return reader


async def _snapshot_s(port: int, least: int = 0) -> float:
    """How long a client waits until it holds everything, of so many bytes at least."""
    reader = Reader(port)
    started_s = time.perf_counter()
    transport, _ = await asyncio.get_running_loop().create_connection(partial(_same, reader), "127.0.0.1", port)
    async with asyncio.timeout(DEADLINE_S):
        await reader.is_ready.wait()
    took_s = time.perf_counter() - started_s
    transport.abort()
    if reader.received < least:
        raise RuntimeError(f"expected a snapshot of {least} bytes, found {reader.received}")
    return took_s


@asynccontextmanager
async def _serving(role: str, site: Site) -> AsyncIterator[tuple[Worker, int]]:
    """A process that answers on a port."""
    port = free_port()
    async with worker(role, site.url, str(port)) as process, asyncio.timeout(None) as limit:
        limit.reschedule(asyncio.get_running_loop().time() + DEADLINE_S)
        while not await _is_ready(port):
            await asyncio.sleep(0.1)
        limit.reschedule(None)
        yield process, port


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (PATH.encode(), port))
    status = await reader.readline()
    writer.transport.abort()
    return b"200" in status


async def _rss_bytes(process: Worker, port: int) -> int:
    """Once it holds everything."""
    await _snapshot_s(port)
    return process.rss_bytes()


def _message(number: int, size: int, version: int = 0) -> tuple[str, bytes]:
    """A pod as topology-builder publishes it."""
    seen = pod(number, max(1, peers_of(size) // 2), version)
    attributes = {**seen.attributes, "bench.number": version}
    record = make_topology(
        ref=seen.ref, status=seen.status, uid=seen.uid, labels=seen.labels, attributes=attributes,
        addresses=seen.addresses,
    )  # fmt: skip
    return seen.ref.subject("topology"), encode(record)
