"""The comparison of a writer's rows with its stream, and bare reading of the same headers."""

from typing import Final

from bench.figures import Figure
from bench.fleet import ENTITY_FILTER, fleet, message
from bench.run import Run, median_cpu_s, median_wall_s, took
from bench.site import open_site
from kgents_shared.bus.losses import lost_rows
from kgents_shared.bus.pull import last_headers
from kgents_shared.bus.session import Session
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract.codec import ENTITY
from kgents_shared.contract.entity import Entity

STREAM: Final = "KGENTS_ENTITY"
ROUNDS: Final = 3


async def bench(run: Run) -> None:
    for size in run.sizes:
        async with open_site(run.directory, f"audit-{size}") as site:
            run.progress(f"comparing {size:,} subjects with their rows")
            await site.flood([message(entity) for entity in fleet(size)])
            view = StateView(site.bus, ENTITY, STREAM, [ENTITY_FILTER])
            await view.load()
            await _measure(run, await site.bus.session(), view, size)


async def _measure(run: Run, session: Session, view: StateView[Entity], size: int) -> None:
    async def compare() -> None:
        lost = await lost_rows(session, STREAM, [ENTITY_FILTER], view.rows, size)
        assert not lost

    async def read() -> None:
        async for _ in last_headers(session, STREAM, [ENTITY_FILTER]):
            pass

    rounds = [(await took(compare), await took(read)) for _ in range(run.rounds(ROUNDS))]
    ours, bare = zip(*rounds, strict=True)
    cpu_us = [median_cpu_s(each) * 1e6 / size for each in (ours, bare)]
    run.report(
        Figure(bench=run.name, name="CPU a subject", size=size, ours=cpu_us[0], bare=cpu_us[1], unit="µs"),
    )
    run.report(Figure(bench=run.name, name="a comparison", size=size, ours=median_wall_s(ours), unit="s"))
