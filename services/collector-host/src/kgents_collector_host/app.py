"""collector-host at work: source → mapping → the entity state table, the pulse log, the event log."""

import asyncio
from typing import Final

from msgspec import structs

from kgents_collector_host.config import Config
from kgents_collector_host.mapping import History, Network, observe
from kgents_collector_host.mapping.client_ends import NATS_PORT
from kgents_collector_host.mapping.network import published_pairs
from kgents_collector_host.mapping.repeats import Repeats
from kgents_collector_host.mapping.scope import SOURCE
from kgents_collector_host.sample import Sample
from kgents_collector_host.source import Source
from kgents_shared.bus import turns
from kgents_shared.bus.turns import until_turn_s
from kgents_shared.contract.address import of_url
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.runtime.collector import Collector
from kgents_shared.runtime.service import Context, Service

FIRST_POLL_S: Final = 2.0
"""From the first poll to the second: rates are known then, and the first view is alive."""
TURN_S: Final = 5.0
"""From one turn of the process to the next: the lease and each heartbeat, and every third time the poll. On an idle
machine it is the waking that costs."""


async def run(context: Context[Config]) -> None:
    """Poll for as long as this instance holds the lease."""
    collector = Collector(context, part_of=lambda _: "")
    await collector.load()
    with turns.longer(TURN_S):
        await _collect(context, collector)


async def _collect(context: Context[Config], collector: Collector) -> None:
    async with Source.open(context.config, context.clock) as source, asyncio.TaskGroup() as tasks:
        tasks.create_task(collector.run())
        tasks.create_task(_poll(context, collector, source))


async def _poll(context: Context[Config], collector: Collector, source: Source) -> None:
    """Read, publish, and wait for the next poll. Never returns."""
    interval_s = context.config.poll_interval_s
    published = {ref.name: entity for ref, entity in collector.part().items() if ref.kind == kinds.PROCESS}
    network = Network(
        published_pairs({name: each.connections for name, each in published.items()}),
        nats_ports={NATS_PORT, *(of_url(url, NATS_PORT).port or NATS_PORT for url in context.common.nats.urls)},
        ends=[(name, alias) for name, each in published.items() for alias in each.aliases],
    )
    history, repeats = History(), Repeats()
    before: Sample | None = None
    while True:
        started_s = context.clock.monotonic_s()
        with context.telemetry.span("collector-host poll") as trace:
            ahead_s = context.server_clock.ahead_s
            now = structs.replace(await source.read(), clock_skew_s=abs(ahead_s) if ahead_s is not None else None)
            facts = observe(
                before,
                now,
                network,
                history,
                cluster=context.cluster,
                interval_s=interval_s,
                max_processes=context.config.max_processes,
                published=collector.part(),
            )
            facts = structs.replace(facts, pulses=repeats.due(facts.pulses))
            await collector.publish(facts, faults=now.faults, trace=trace)
        wait_s = interval_s if before is not None else min(FIRST_POLL_S, interval_s)
        before = now
        rest_s = max(0.0, wait_s - (context.clock.monotonic_s() - started_s))
        await context.clock.sleep(until_turn_s(rest_s))


SERVICE: Final = Service(
    name="collector-host",
    config=Config,
    run=run,
    source=SOURCE,
    place=lambda config: config.host_name,
)
