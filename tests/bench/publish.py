"""Publishing: StateTable (difference, encoding, compare-and-set) and LogPublisher against bare windowed publishing."""

import cProfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

from nats.aio.client import Client

from bench.bare import BarePublisher, connect
from bench.figures import Figure
from bench.fleet import ENTITY_FILTER, message, pod, subject_of
from bench.run import Run, Took, median_cpu_s, median_wall_s, took
from bench.site import Messages, open_site
from kgents_shared.bus.log import LogPublisher
from kgents_shared.bus.outbox import Outbox
from kgents_shared.bus.publish import EXPECTED_SEQUENCE, Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract.codec import ENTITY
from kgents_shared.contract.entity import Entity
from support.running import running

COUNT: Final = 5_000
"""Messages in one round."""
AWAITED: Final = 500
"""Messages in one round where each ack is awaited."""
ROUNDS: Final = 7
PEERS: Final = 50


async def bench(run: Run) -> None:
    run.progress("starting a server")
    async with open_site(run.directory, "publish") as site:
        client = await connect(site.url)
        publisher = Publisher(site.bus)
        table = StateTable(site.bus, ENTITY, "KGENTS_ENTITY", [ENTITY_FILTER], publisher=publisher)
        await table.load()
        with Outbox(run.directory / "outbox") as outbox:
            log = LogPublisher(site.bus, publisher, outbox, prefix="bench", now_ns=time.time_ns)
            async with running(publisher.run(), table.run(), log.run()):
                ways = _Ways(client, table, log)
                await ways.open()
                if run.profile:
                    await _profile(ways, run.profile)
                else:
                    _report(run, await _measure(run, ways))
        await client.close()


class _Ways:
    """The ways to publish one round of changes; `prepare` comes first."""

    def __init__(self, client: Client, table: StateTable[Entity], log: LogPublisher) -> None:
        self._client = client
        self._table = table
        self._log = log
        self._entities: list[Entity] = []
        self._messages: Messages = []
        self._bare = BarePublisher(client)

    async def open(self) -> None:
        await self._bare.open()

    def prepare(self, round_: int, signal: str, source: str) -> None:
        """Make a round's changes; no part of what is measured. Each way has subjects of its own."""
        self._entities = [pod(number, PEERS, round_) for number in range(COUNT)]
        plain = (message(entity) for entity in self._entities)
        self._messages = [
            (subject.replace("entity.test.k8s", f"{signal}.test.{source}"), data) for subject, data in plain
        ]

    async def table(self) -> None:
        for entity in self._entities:
            self._table.put(subject_of(entity.ref), entity)
        await self._table.flush()

    async def log(self) -> None:
        for subject, payload in self._messages:
            self._log.publish(subject, payload)
        await self._log._memory_empty.wait()

    async def bare(self) -> None:
        for subject, payload in self._messages:
            await self._bare.publish(subject, payload)
        await self._bare.drain()

    async def bare_with_header(self) -> None:
        """The bytes of our header as well, under a name that the server does not read."""
        headers = {EXPECTED_SEQUENCE.replace("Nats", "Noop"): "12345"}
        for subject, payload in self._messages:
            await self._bare.publish(subject, payload, headers)
        await self._bare.drain()

    async def awaited(self) -> None:
        jetstream = self._client.jetstream()
        for subject, payload in self._messages[:AWAITED]:
            await jetstream.publish(subject, payload)


async def _measure(run: Run, ways: _Ways) -> dict[str, list[Took]]:
    plan = {
        "table": (ways.table, "entity", "k8s"),
        "bare": (ways.bare, "entity", "bare"),
        "bare with header": (ways.bare_with_header, "entity", "head"),
        "awaited": (ways.awaited, "entity", "wait"),
        "log": (ways.log, "event", "k8s"),
        "bare log": (ways.bare, "event", "bare"),
    }
    found: dict[str, list[Took]] = defaultdict(list)
    rounds = run.rounds(ROUNDS)
    for round_ in range(rounds + 1):
        run.progress(f"round {round_} of {rounds}" + (" (not counted)" if round_ == 0 else ""))
        for name, (way, signal, source) in plan.items():
            ways.prepare(round_, signal, source)
            result = await took(way)
            if round_:
                found[name].append(result)
    return found


def _report(run: Run, found: dict[str, list[Took]]) -> None:
    def rate(name: str, count: int = COUNT) -> float:
        return count / median_wall_s(found[name])

    def cpu_us(name: str, count: int = COUNT) -> float:
        return median_cpu_s(found[name]) / count * 1e6

    def figure(name: str, ours: float, bare: float, unit: str, **target: float) -> None:
        run.report(Figure(bench=run.name, name=name, ours=ours, bare=bare, unit=unit, **target))  # type: ignore[arg-type]

    figure("state table, messages/s", rate("table"), rate("bare"), "/s", at_least=0.5)
    figure("state table, CPU a message", cpu_us("table"), cpu_us("bare"), "µs")
    figure("… vs bare with the same header", cpu_us("table"), cpu_us("bare with header"), "µs", at_most=2)
    figure("… vs awaiting each ack", cpu_us("table"), cpu_us("awaited", AWAITED), "µs")
    figure("log, messages/s", rate("log"), rate("bare log"), "/s", at_least=0.5)
    figure("log, CPU a message", cpu_us("log"), cpu_us("bare log"), "µs", at_most=2)


async def _profile(ways: _Ways, path: Path) -> None:
    profile = cProfile.Profile(time.process_time)  # waiting costs no CPU time
    for round_ in range(3):
        ways.prepare(round_, "entity", "k8s")
        profile.enable()
        await ways.table()
        profile.disable()
    profile.dump_stats(path)
