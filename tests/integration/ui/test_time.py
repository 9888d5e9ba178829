"""The past over a real NATS: as the streams remember it, and said where they do not."""

import asyncio
from datetime import UTC, datetime

from kgents_cli.ui.kept import Kept
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from support.dashboard import dashboard, live
from support.state import make_event, make_health, make_topology, publish, removed


async def server_time(bus: Bus) -> datetime:
    """Of the server, which stores by it, a moment after what was stored."""
    await asyncio.sleep(0.05)
    info = await stream_info(await bus.session(), NAME_BY_SIGNAL["topology"])
    await asyncio.sleep(0.05)
    return datetime.fromtimestamp(info.now_ns / 1e9, UTC)


async def test_the_past_is_as_it_was_and_what_is_forgotten_is_named(bus: Bus) -> None:
    await publish(bus, make_topology("cart"), make_health("cart"), make_topology("flapping"), make_topology("gone"))
    then = await server_time(bus)
    await publish(bus, make_health("cart", level="critical"), removed(make_topology("gone")), make_topology("new"))
    for number in range(20):
        await publish(bus, make_topology("flapping", labels={"n": str(number)}))
    async with dashboard(live(bus), size=(150, 30)) as shown:
        await shown.until(" new ")
        await shown.press("t")
        await shown.type(then.isoformat())
        await shown.press("enter")
        await shown.until("1 not remembered")
        await shown.until_row(" cart ", "● healthy")
        await shown.until_row(" flapping ", "not remembered")
        assert " gone " in shown.text
        assert " new " not in shown.text
        await shown.press("s")
        await shown.until("this is the past")
        await shown.press("d")
        await shown.until("is not remembered as it was")
        await shown.press("j")
        await shown.until("in cluster test")
        await shown.press("escape")
        await publish(bus, make_topology("meanwhile"))
        await shown.press("L")
        await shown.until(" meanwhile ")
        await shown.until_row(" cart ", "✖ critical")
        assert " gone " not in shown.text
        await shown.press("left_curly_bracket")
        await shown.until("NOT REMEMBERED")
        await shown.press("right_curly_bracket", "right_curly_bracket")
        await shown.until("LIVE")


async def test_a_time_that_is_none_is_refused_in_words(bus: Bus) -> None:
    async with dashboard(live(bus), size=(150, 30)) as shown:
        await shown.press("t")
        await shown.type("yesterday")
        await shown.press("enter")
        await shown.until("expected a time such as")
        assert not shown.app.travelling.is_past


async def test_the_next_dashboard_begins_with_the_screen_and_filters_of_the_last(bus: Bus) -> None:
    await publish(bus, make_topology("cart"), make_topology("web"), make_event("cart"))
    kept = Kept()
    async with dashboard(live(bus), kept=kept) as shown:
        await shown.until("web")
        await shown.press("slash")
        await shown.type("cart")
        await shown.press("enter", "T", "o", "o")
        await shown.until("by name")
        await shown.press("6", "o")
        await shown.until("BackOff")
        await shown.until("only entities have another order")
    assert (kept.screen, kept.filters, kept.theme) == ("events", {"entities": "cart"}, "kgents-light")
    async with dashboard(live(bus), kept=kept) as shown:
        await shown.until("BackOff")
        await shown.press("1")
        await shown.until("1 of 2")
        assert " web " not in shown.text
        await shown.until("by name")
