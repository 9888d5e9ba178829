"""collector-db at work: one watch for each database, all of them saying what they see through one `Publishing`."""

import asyncio
from random import Random
from typing import Final

from kgents_collector_db.config import Config
from kgents_collector_db.mapping.facts import SOURCE
from kgents_collector_db.publishing import Publishing
from kgents_collector_db.watch import Watch
from kgents_collector_db.watches import backends
from kgents_shared.runtime.service import Context, Service

FAULTS_SHOWN: Final = 3
"""In the heartbeat; the entities and pulses tell of each database."""
SPREAD_S: Final = 10.0
"""Over which the first looks at many databases are spread."""


async def run(context: Context[Config]) -> None:
    """Watch for as long as this instance holds the lease."""
    publishing = Publishing(context)
    await publishing.load()
    random = Random()  # noqa: S311 - it only spreads work over time
    watches = [Watch(each, context.cluster, context.clock, random) for each in backends(context.config, context.clock)]

    def tell_state() -> None:
        """A database that cannot be seen is told as such by its entity and pulse, and that is being in sync with it."""
        vouches = all(watch.vouches for watch in watches)
        faults = [watch.fault for watch in watches if watch.fault]
        context.status.set("in_sync" if vouches else "degraded", "; ".join(faults[:FAULTS_SHOWN]))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publishing.entities.run())
        publishing.keep_only([watch.owner for watch in watches])
        tell_state()
        for number, watch in enumerate(watches):
            delay_s = min(SPREAD_S, watch.interval_s) * number / len(watches)
            tasks.create_task(watch.run(publishing, context.telemetry, tell_state, delay_s=delay_s))


SERVICE = Service(name="collector-db", config=Config, run=run, source=SOURCE)
