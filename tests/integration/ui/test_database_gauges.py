"""The gauges of the Databases screen over a real NATS."""

from datetime import UTC, datetime
from typing import Any

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import DatabasePulse, Pool
from support.build import make_ref
from support.dashboard import dashboard, live
from support.state import make_health, make_topology, publish, removed

ORDERS = make_ref("orders", kind="database")
ARTICLES = make_ref("articles", kind="comparison")


async def measure(bus: Bus, ref: Ref, backend: str, **fields: Any) -> None:
    """Publish a pulse of this moment."""
    pulse = DatabasePulse(ref=ref, source="db", backend=backend, timestamp=datetime.now(UTC), interval_s=60, **fields)
    await (await bus.session()).request(ref.subject("pulse", source="db"), encode(pulse))


async def test_databases_and_comparisons_have_gauges_that_follow_their_pulses(bus: Bus) -> None:
    for ref in (ORDERS, ARTICLES):
        await publish(bus, make_topology(ref=ref), make_health(ref=ref))
    await measure(bus, ORDERS, "postgres", phase="healthy", pool=Pool(active=2, max=20, utilization=0.1))
    await measure(bus, ARTICLES, "coherency", phase="degraded", unread=["*"], custom={"coherency_rate": None})
    for size in ((80, 24), (120, 40)):
        async with dashboard(live(bus), size=size) as shown:
            await shown.until("orders")
            await shown.press("4")
            await shown.until("pool █░░░░░░░░░░░ 2/20")
            await shown.until("● healthy  PostgreSQL")
            await shown.until("? degraded  Coherency")
            await shown.until("missing –  stale –  ghosts –")
            await shown.press("question_mark")
            await shown.until_gone("pool █")
            await shown.press("escape", "slash")
            await shown.type("articles")
            await shown.until_gone("pool █")
            await shown.press("enter", "escape")
            await shown.until("pool █")
            await shown.press("1")
            await shown.until_gone("pool █")
    async with dashboard(live(bus), size=(120, 40)) as shown:
        await shown.until("orders")
        await shown.press("4")
        await shown.until("pool █")
        await measure(bus, ORDERS, "postgres", phase="overloaded", pool=Pool(active=20, max=20, utilization=1.0))
        await shown.until("pool ████████████ 20/20")
        await shown.until("✖ overloaded  PostgreSQL")
        await shown.press("T")
        await shown.until("pool ████████████ 20/20")
        await publish(bus, removed(make_topology(ref=ORDERS)))
        await shown.until_gone("pool █")
