"""What comes from a recording is marked as such on every view of the page, for as long as any of it is there."""

from typing import Any

import pytest

from kgents_shared.bus.client import Bus
from support.browser import DESKTOP, PHONE, page_at
from support.gateway import Running
from support.map_picture import OF_SCREENSHOTS
from support.state import make_topology, publish, removed
from support.waiting import eventually

NAME = "kgents.replayed_from"
BANNER = ".banner.replayed"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_a_demo_says_so_on_every_view(size: Any, bus: Bus, gateway: Running, browser: Any) -> None:
    mine = make_topology("mine")
    shop = [make_topology(name, attributes={NAME: "demo.kgrec"}) for name in ("cart", "pay")]
    incident = make_topology("old", attributes={NAME: "incident.kgrec"})
    await publish(bus, mine)
    async with page_at(browser, gateway.server.address, size=size, allowed=(OF_SCREENSHOTS,)) as page:
        await page.get_by_text("mine").first.wait_for()
        assert await page.locator(BANNER).count() == 0
        await publish(bus, *shop, incident)
        demo = page.locator(BANNER, has_text="DEMO: a recording of a shop, not your systems.")
        await demo.wait_for(state="visible")
        await page.locator(BANNER, has_text="1 entity is replayed from incident.kgrec, not observed now").wait_for()
        for view in ("flat", "space", "pipeline", "table"):
            await page.evaluate("view => { location.hash = `#view=${view}` }", view)
            await demo.wait_for(state="visible")
        await publish(bus, *(removed(each) for each in (*shop, incident)))

        async def is_unmarked() -> bool:
            return bool(await page.locator(BANNER).count() == 0)

        await eventually(is_unmarked)
