"""What an entity costs, in the side panel; not at a moment of the past, and not without a price list."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest_asyncio

from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.view.entity import key_of_ref
from support.browser import page_at
from support.build import make_ref
from support.gateway import Running, caught_up, serving
from support.state import edge, make_topology, publish

NODE = Ref("test", "node", "n1")
PRICES = "{name: May, currency: EUR, vcpu_hour: 0.03, gib_hour: 0.004}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(bus: Bus, tmp_path_factory: Any) -> AsyncIterator[Running]:
    file: Path = tmp_path_factory.mktemp("prices") / "prices.yaml"
    file.write_text(PRICES)
    async with serving(bus, prices_file=str(file)) as running:
        yield running


async def test_the_panel_says_what_an_entity_costs_and_by_which_prices(
    bus: Bus, gateway: Running, browser: Any
) -> None:
    requests: dict[str, Any] = {
        "kgents.k8s.pod.cpu.request": 1.0, "kgents.k8s.pod.memory.request": 2 * 1024**3, "kgents.k8s.drift": None,
    }  # fmt: skip
    priced, bare = make_ref("priced"), make_ref("bare")
    await publish(
        bus,
        make_topology(ref=NODE),
        make_topology(ref=priced, attributes=requests, connections=[edge("runs_on", NODE)]),
        make_topology(ref=bare, connections=[edge("runs_on", NODE)]),
    )
    await caught_up(bus, gateway)
    address = gateway.server.address
    async with page_at(browser, f"{address}/#id={key_of_ref(priced)}") as page:
        cost = page.locator(".details section", has_text="Prices of May: vcpu_hour and gib_hour")
        await cost.wait_for()
        text = await cost.inner_text()
        assert "0.038 EUR" in text
        assert "27.74 EUR" in text
        assert "1 vCPU charged, use not known" in text
        assert "request" in text
        drift = await page.locator(".pairs div", has_text="kgents.k8s.drift").inner_text()
        assert drift.split("\n")[-1] == "not known", "and not null, or none"
    async with page_at(browser, f"{address}/#id={key_of_ref(bare)}") as page:
        cost = page.locator(".details section", has_text="Prices of May")
        await cost.wait_for()
        assert "not known" in await cost.inner_text()
    past = f"{address}/#id={key_of_ref(priced)}&at={datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    async with page_at(browser, past) as page:
        await page.locator(".details h2", has_text="Connections").wait_for()
        assert await page.locator(".details section", has_text="Prices of May").count() == 0
