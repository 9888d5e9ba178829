"""The last figures of many: as columns of the table, and as bars, rates and gauges in the side panel."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import Collections, DatabasePulse, Memory, Pool, Pulse, ResourcePulse
from kgents_shared.view.entity import key_of_ref
from support.browser import PHONE, boxes, lies_well, names, page_at, violations
from support.build import make_ref
from support.gateway import Running, caught_up
from support.state import make_health, make_topology, publish
from support.waiting import eventually

MIB = 2**20
SILENT_MIN = 6
AGE = re.compile(r"(\d+) min ago")
CUT = """
[...document.querySelectorAll(".load th[scope=col], .load td")]
  .filter((each) => each.scrollWidth > each.clientWidth + 1)
  .map((each) => `${each.textContent} ${each.scrollWidth - each.clientWidth}`)
"""
STREAM = Ref("test", "nats_stream", "KGENTS_TOPOLOGY")
CONSUMER = Ref("test", "nats_consumer", "KGENTS_EVENT/topology-builder-of-this-cluster-1")
SERVER = Ref("test", "nats_server", "nats-0")
DATABASE = Ref("test", "database", "orders")
COMPARED, UNREAD = Ref("test", "comparison", "articles"), Ref("test", "comparison", "drafts")
IDLE = Ref("test", "pod", "idle", "shop")


def pulse(ref: Ref, *, age_s: float = 0.0, **fields: Any) -> ResourcePulse:
    """`age_s`: how long ago it was measured."""
    at = datetime.now(UTC) - timedelta(seconds=age_s)
    return ResourcePulse(ref=ref, source="k8s", timestamp=at, interval_s=30.0, **fields)


def compared(ref: Ref, *, unread: list[str] | None = None, **custom: float | None) -> DatabasePulse:
    return DatabasePulse(
        ref=ref, source="k8s", backend="coherency", timestamp=datetime.now(UTC), interval_s=300.0, phase="degraded",
        custom=custom, unread=unread or [],
    )  # fmt: skip


async def send(bus: Bus, *pulses: Pulse) -> None:
    session = await bus.session()
    for each in pulses:
        await session.request(each.ref.subject("pulse", source="k8s"), encode(each))


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def shop(bus: Bus, gateway: Running) -> None:
    """A busy pod, one whose CPU is not known, one that is not heard any more, one without figures; NATS; a database."""
    refs = [*(make_ref(name) for name in ("busy", "half-read", "silent")), IDLE, SERVER, STREAM, CONSUMER, DATABASE]
    refs += [COMPARED, UNREAD]
    await publish(bus, *(make_topology(ref=ref) for ref in refs), *(make_health(ref=ref) for ref in refs))
    await send(
        bus,
        pulse(make_ref("busy"), cpu_percent=150.0, memory_bytes=96 * MIB, memory_limit_bytes=100 * MIB,
              network_rx_bytes=2048.0, network_tx_bytes=1024.0),
        pulse(make_ref("half-read"), unread=["cpu_percent"], memory_bytes=32 * MIB),
        pulse(make_ref("silent"), age_s=SILENT_MIN * 60 + 40, cpu_percent=0.0, memory_bytes=64 * MIB),
        pulse(SERVER, cpu_percent=0.8981, custom={"in_msgs_per_sec": 34.6, "connections": 8.0}),
        pulse(STREAM, custom={"messages_per_sec": 12.5, "messages": 70_000.0}),
        pulse(CONSUMER, custom={"delivered_per_sec": 3.0, "pending_messages": 4_100.0}),
        DatabasePulse(
            ref=DATABASE, source="k8s", backend="postgres", timestamp=datetime.now(UTC), interval_s=30.0,
            phase="overloaded", cause="saturated", pool=Pool(active=3, max=100, waiting=7, utilization=0.98),
            memory=Memory(used_mb=512.0, max_mb=1024.0, utilization=0.5), collections=Collections(vectors=1_200_000),
            performance={"latency_ms": None},
        ),
        compared(COMPARED, coherency_rate=0.9996, coherency_rate_low=0.9977, coherency_rate_high=0.99993,
                 coherency_missing=4.0, coherency_stale=None, coherency_ghosts=0.0),
        compared(UNREAD, unread=["*"], coherency_rate=None),
    )  # fmt: skip
    await caught_up(bus, gateway)


def without_age(text: str) -> str:
    """What is said of the silent one, which was six minutes old when the test began."""
    assert any(int(minutes) >= SILENT_MIN for minutes in AGE.findall(text)), text
    return AGE.sub("", text).strip()


async def cells(page: Any, name: str) -> list[str]:
    """What the columns CPU and memory say of an entity."""
    row = page.locator(f".table .row[data-id='{key_of_ref(make_ref(name))}']")
    return [" ".join((await row.locator(f".cell.{column}").inner_text()).split()) for column in ("cpu", "memory")]


async def _begins_with(page: Any, expected: list[str]) -> bool:
    return (await names(page))[: len(expected)] == expected


async def test_columns_show_figures_what_is_not_known_and_how_old(gateway: Running, browser: Any) -> None:
    async with page_at(browser, gateway.server.address) as page:
        await page.locator(".table .cell.cpu", has_text="150 %").wait_for()
        assert await cells(page, "busy") == ["150 %", "96 MiB"]
        assert await cells(page, "half-read") == ["unknown", "32 MiB"]
        assert [without_age(each) for each in await cells(page, "silent")] == ["0 %", "64 MiB"]
        assert await cells(page, "idle") == ["", ""]
        await page.get_by_role("button", name="CPU").first.click()
        await eventually(lambda: _begins_with(page, ["busy", "nats-0"]))
        await lies_well(page)
        for row in (".row .cell.name > .text", ".row .ends-seen span:last-child"):
            assert all(right - left > 20 for left, _, right, _ in await boxes(page, row)), "names are seen"
        assert await violations(page) == []
    async with page_at(browser, gateway.server.address, size=PHONE, has_touch=True) as page:
        await page.locator(".table .cell.cpu", has_text="150 %").wait_for()
        await lies_well(page)


async def test_at_a_moment_of_the_past_its_figures_are_shown_or_that_they_are_not_known(
    bus: Bus, gateway: Running, browser: Any
) -> None:
    then = datetime.now(UTC) + timedelta(milliseconds=20)
    await eventually(lambda: datetime.now(UTC) > then)
    await send(bus, pulse(make_ref("busy"), cpu_percent=7.0), pulse(IDLE, cpu_percent=1.0))
    async with page_at(browser, f"{gateway.server.address}/#tab=load&at={moment(then)}") as page:
        await page.locator(".table .cell.cpu", has_text="150 %").wait_for()
        assert await cells(page, "idle") == ["", ""]
        await page.locator(".load tr", has_text="busy").locator("td", has_text="150 %").wait_for()
        await page.locator(".database", has_text=DATABASE.name).locator("strong", has_text="overloaded").wait_for()
        await page.get_by_role("button", name="Back to now").click()
        await page.locator(".table .cell.cpu", has_text="7 %").first.wait_for()
    async with page_at(browser, f"{gateway.server.address}/#tab=load&at={moment(then - timedelta(hours=2))}") as page:
        await page.locator(".load p", has_text="samples are held since").wait_for()
        assert await page.locator(".load .uses, .database, .cell.cpu").count() == 0
        assert await violations(page) == []
    await send(bus, pulse(make_ref("busy"), cpu_percent=150.0, memory_bytes=96 * MIB, memory_limit_bytes=100 * MIB,
                          network_rx_bytes=2048.0, network_tx_bytes=1024.0))  # fmt: skip


def moment(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


async def test_the_panel_shows_bars_rates_depths_and_gauges(bus: Bus, gateway: Running, browser: Any) -> None:
    for size in ((1280, 1500), PHONE):
        async with page_at(browser, f"{gateway.server.address}/#tab=load", size=size) as page:
            if size == PHONE:
                await page.get_by_role("button", name="Overview").click()
            row = page.locator(".load tr", has_text="busy")
            await row.wait_for()
            assert (await row.inner_text()).split() == ["busy", "150", "%", "96", "MiB", "3", "KiB/s"]
            [_, memory, _] = await boxes(page, ".load .uses:not(.flows) tbody tr:first-child .share")
            [_, filled, _] = await boxes(page, ".load .uses:not(.flows) tbody tr:first-child .share span")
            assert abs((filled[2] - filled[0]) / (memory[2] - memory[0]) - 0.96) < 0.02, "of its limit"
            assert "unknown" in await page.locator(".load tr", has_text="half-read").inner_text()
            without_age(await page.locator(".load tr.old", has_text="silent").inner_text())
            flow = await page.locator(".load tr", has_text=STREAM.name).locator("td").all_inner_texts()
            assert flow == ["12.5/s", "70,000"]
            assert "3/s" in await page.locator(".load tr", has_text="KGENTS_EVENT").inner_text()
            assert "0.9 %" in await page.locator(".uses:not(.flows) tr", has_text=SERVER.name).inner_text()
            gauges = (await page.locator(".database", has_text=DATABASE.name).inner_text()).split("\n")
            for text in ("overloaded", "98 of 100 7 waiting", "512 MiB of 1 GiB", "1,200,000", "unknown"):
                assert any(text in each for each in gauges), gauges
            coherent = (await page.locator(".database", has_text=COMPARED.name).inner_text()).split("\n")
            for text in ("99.9 % 99.7 % to 99.9 %", "4", "unknown", "0"):
                assert any(each == text for each in coherent), coherent
            drafts = page.locator(".database", has_text=UNREAD.name)
            assert await drafts.locator("dd").all_inner_texts() == ["unknown"] * 4
            assert await drafts.locator(".mark.unknown").count() == 1
            assert await drafts.locator("meter").count() == 0
            [(left, _, right, _)] = await boxes(page, ".panel-body")
            for each in await boxes(page, ".load :is(td, th, dd, .words, .share)"):
                assert left <= each[0] <= each[2] <= right, each
            assert await page.evaluate(CUT) == [], "no text is cut or runs out"
            assert await violations(page) == []
    async with page_at(browser, f"{gateway.server.address}/#tab=load&kind=nats_stream") as page:
        await page.locator(".load tr", has_text=STREAM.name).wait_for()
        assert await page.locator(".load tr", has_text="busy").count() == 0, "figures are of what is shown"
        await send(bus, pulse(STREAM, custom={"messages_per_sec": 44.0, "messages": 70_001.0}))
        await page.locator(".load tr", has_text="44/s").wait_for()
