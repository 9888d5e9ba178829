"""Every view and every tab, on a desk and on a phone, in both colours: nothing that axe finds, and nothing misplaced.

One page is walked through for each size: what is read differs by what is opened, not by how often it is loaded.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
import pytest_asyncio

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Affected, Decided, IncidentReason, Moment
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.pulse import Collections, DatabasePulse, Memory, Pool, Pulse, ResourcePulse
from kgents_shared.view.entity import key_of_ref
from support.browser import DESKTOP, PHONE, page_at, violations
from support.build import NOW, make_ref
from support.decisions import stored
from support.gateway import Running, caught_up
from support.incidents import make_incident
from support.map_picture import OF_SCREENSHOTS, is_drawn
from support.misplaced import misplaced
from support.state import edge, make_alert, make_event, make_health, make_topology, publish
from support.waiting import eventually

LONG: Final = "checkout-payments-reconciliation-worker-7d9f8b6c5d-x2kqz"
POD: Final = make_ref(LONG)
NODE: Final = Ref("test", "node", "ip-10-0-113-208.eu-central-1.compute.internal")
OWNER: Final = Ref("test", "deployment", "checkout-payments-reconciliation-worker", "shop")
SERVER: Final = Ref("test", "nats_server", "nats-0")
STREAM: Final = Ref("test", "nats_stream", "KGENTS_TOPOLOGY")
CONSUMER: Final = Ref("test", "nats_consumer", "KGENTS_EVENT/topology-builder-of-this-cluster-1")
DATABASE: Final = Ref("test", "database", "orders-of-the-northern-region-primary")
INCIDENT: Final = make_incident().id
PODS: Final = 12


def pulses() -> list[Pulse]:
    now = datetime.now(UTC)
    of: dict[str, Any] = {"source": "k8s", "timestamp": now, "interval_s": 30.0}
    old = {**of, "timestamp": now - timedelta(minutes=7)}
    return [
        ResourcePulse(ref=POD, cpu_percent=1_234.5, memory_bytes=96 * 2**30, memory_limit_bytes=100 * 2**30,
                      network_rx_bytes=2e9, network_tx_bytes=1e9, **of),
        ResourcePulse(ref=make_ref("cart-1"), unread=["cpu_percent"], memory_bytes=32 * 2**20, **of),
        ResourcePulse(ref=make_ref("cart-2"), cpu_percent=0.0, memory_bytes=64 * 2**20, **old),
        ResourcePulse(ref=SERVER, cpu_percent=0.9, custom={"in_msgs_per_sec": 123_456.7, "connections": 1_234.0}, **of),
        ResourcePulse(ref=STREAM, custom={"messages_per_sec": 12.5, "messages": 70_000_000.0}, **of),
        ResourcePulse(ref=CONSUMER, custom={"delivered_per_sec": 3.0, "pending_messages": 4_100.0}, **of),
        DatabasePulse(ref=DATABASE, backend="postgres", phase="overloaded", cause="saturated",
                      pool=Pool(active=98, max=100, waiting=7, utilization=0.98),
                      memory=Memory(used_mb=512.0, max_mb=1024.0, utilization=0.5),
                      collections=Collections(vectors=1_200_000), performance={"latency_ms": None}, **of),
    ]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def shop(bus: Bus, gateway: Running) -> AsyncIterator[str]:
    """Names as long as they are in real systems, every level, and each thing that a tab can show. Yields a moment."""
    why = f"{POD} restarted 14 times in the last hour, and its memory grows by 3 % a minute"
    on = [edge("runs_on", NODE), edge("owns", OWNER, "in"), edge("depends_on", DATABASE)]
    labels = {"app.kubernetes.io/name": "checkout-payments-reconciliation-worker", "tier": "backend"}
    await publish(
        bus,
        *(make_topology(ref=each) for each in (NODE, OWNER, SERVER, STREAM, CONSUMER, DATABASE)),
        *(make_health(ref=each) for each in (NODE, OWNER, SERVER, STREAM)),
        make_topology(LONG, connections=on, labels=labels, status="failed", reason="CrashLoopBackOff"),
        make_health(LONG, level="critical", text=why),
        make_alert(LONG, text=why), make_alert(LONG, check="KG-002", state="pending"),
        *(make_topology(f"cart-{each}", connections=on[:2]) for each in range(PODS)),
        *(make_health(f"cart-{each}", level="warning" if each == 2 else "healthy") for each in range(PODS - 1)),
        *(make_event(LONG, number=each, text=why, message=why, severity=level, count=each + 1)
          for each, level in enumerate(("info", "warning", "error", "critical"))),
    )  # fmt: skip
    session = await bus.session()
    for each in pulses():
        await session.request(each.ref.subject("pulse", source="k8s"), encode(each))
    taken = Decided(action="acknowledge", by="ada@example.org", via="slack", reason="I look at it")
    of: dict[str, Any] = {"cluster": POD.cluster, "incident": INCIDENT, "text": "-"}
    affected = [Affected(ref=each, severity="critical", checks=["KG-310"]) for each in (DATABASE, POD)]
    await stored(
        bus,
        make_incident(
            ref=DATABASE, title=f"{DATABASE} accepts no connections", affected=affected, affected_count=2,
            affected_by_kind={"database": 1, "pod": 1}, is_flapping=True,
            reasons=[IncidentReason(text="100 of 100 connections are used", ref=DATABASE, check="KG-310")],
            timeline=[Moment(at=NOW, text=why), Moment(at=NOW, text="Acknowledged.", decided=taken)],
        ),
        make_incident("mild", id="a" * 16, severity="warning", title=f"{OWNER} has fewer replicas than it wants"),
        Notice(receiver="ops-chat", delivered=2, delivered_state="open", delivered_at=NOW, **of),
        Notice(receiver="pager", failure="timeout", **of),
    )  # fmt: skip
    await caught_up(bus, gateway)
    await eventually(lambda: len(gateway.gateway.incidents.all()) == 2)
    then = datetime.now(UTC) + timedelta(milliseconds=20)
    await eventually(lambda: datetime.now(UTC) > then)
    await publish(bus, make_topology("cart-1", status="pending", labels=labels))
    yield then.isoformat().replace("+00:00", "Z")


class Walk:
    """One page, and what is wrong with it at each stop."""

    def __init__(self, page: Any, *, is_dark: bool) -> None:
        """`is_dark`: it is so already; else its contrast is looked at in dark colours, too."""
        self.page = page
        self.is_dark = is_dark
        self.faults: list[str] = []

    async def tab(self, link: str, *shown: str) -> None:
        """Look at a tab of the side panel: what is around it is looked at elsewhere."""
        await self.to(link, *shown, part=".panel")

    async def to(self, link: str, *shown: str, part: str = "html") -> None:
        """Open what a link names, wait until all of it is there, and look at it."""
        await self.page.evaluate("hash => { location.hash = hash }", f"#{link}")
        await self.look(link or "start", *shown, part=part)

    async def look(self, name: str, *shown: str, part: str = "html") -> None:
        """At what is open, also below what is seen first."""
        for each in shown:
            await self.page.locator(each).first.wait_for()
        self._note(name, await violations(self.page, part))
        self._note(name, await misplaced(self.page))
        body = self.page.locator(".panel-body, .pipeline").first
        if await body.count() > 0:
            await body.evaluate("(each) => each.scrollTo(0, each.scrollHeight)")
            self._note(f"{name}, below", await misplaced(self.page))
            await body.evaluate("(each) => each.scrollTo(0, 0)")
        if self.is_dark:
            return
        await self.page.emulate_media(color_scheme="dark")
        await self.page.locator("html[data-theme=dark]").wait_for()
        self._note(f"{name}, dark", await violations(self.page, part, rules=["color-contrast"]))
        await self.page.emulate_media(color_scheme="light")
        await self.page.locator("html[data-theme=light]").wait_for()

    def _note(self, name: str, found: list[str]) -> None:
        self.faults += [f"{name}: {each}" for each in found]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_everything_is_read_well(shop: str, gateway: Running, browser: Any, size: tuple[int, int]) -> None:
    is_phone = size == PHONE
    of = f"id={key_of_ref(POD)}"
    options: dict[str, Any] = {
        "color_scheme": "dark" if is_phone else "light",
        "reduced_motion": "reduce",
        "has_touch": is_phone,
        "size": size,
    }
    async with page_at(browser, gateway.server.address, allowed=(OF_SCREENSHOTS,), **options) as page:
        walk = Walk(page, is_dark=is_phone)
        await walk.look("table", ".table .row.critical")
        if is_phone:
            await page.get_by_role("button", name="Filters", exact=True).tap()
            await walk.look("filters", ".filters .choice")
            await page.get_by_role("button", name="Filters", exact=True).tap()
            await page.get_by_role("button", name="Overview").tap()
        await walk.tab("", ".tile.critical", ".kinds .number")
        await walk.to("q=nothing", ".empty")
        await walk.tab(of, ".figure canvas", ".reasons li", ".history li")
        await page.get_by_role("button", name="Show what its loss would reach").click()
        await walk.tab(f"{of}&from={key_of_ref(NODE)}", ".path li", ".details .plain, .details p")
        await walk.tab(f"{of}&tab=events", ".event")
        await walk.tab("tab=events", ".event")
        await walk.tab("tab=alerts", ".alerts li")
        await walk.tab("tab=incidents", ".incidents .incident")
        await walk.tab(f"tab=incidents&incident={INCIDENT}", ".receivers li", ".affected li")
        await page.get_by_role("button", name="Silence…").click()
        await walk.look("silence", "form.silence", part=".panel")
        await walk.tab("tab=load", ".load .uses td", ".flows td", ".database meter")
        await walk.to(f"tab=changes&at={shop}", ".changes li", ".banner")
        await walk.tab(f"{of}&at={shop}", ".details .title", ".banner")
        await walk.to("view=pipeline", ".pipeline section")
        for view in ("flat", "space"):
            await walk.to(f"view={view}", ".map canvas")
            await is_drawn(page)
            await page.get_by_text("Legend").click()
            await walk.look(f"{view}, legend", ".map-legend li")
        if not is_phone:
            await page.keyboard.press("?")
            await walk.look("keys", "dialog")
        assert not walk.faults, "\n".join(walk.faults)


BROKEN: Final = {
    "<p style='width: 40px; overflow: hidden; white-space: nowrap'>longer than it may be</p>": "cut",
    "<p style='height: 8px; overflow: hidden'>lower than its line</p>": "cut below",
    "<p style='margin-left: -40px'>begins outside</p>": "beyond the window",
    "<p><b>these words</b><b style='margin-left: -30px'>and those words</b></p>": "over each other",
    "<p>covered</p><div style='position: relative; top: -40px; height: 60px; background: red'></div>": "covered",
    "<div style='width: 30px; overflow: hidden'><button style='width: 90px'>wide</button></div>": "cut",
}
WELL: Final = (
    "<p style='width: 40px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap'>ends with a sign</p>"
    "<p style='width: 40px; overflow-x: auto; white-space: nowrap'>can be scrolled to</p>"
    "<p>under a dialog</p><div style='position: fixed; inset: 0; background: red'></div>"
)


async def test_what_is_misplaced_is_found(browser: Any) -> None:
    async with page_at(browser, "about:blank") as page:
        for content, said in BROKEN.items():
            await page.set_content(content)
            found = await misplaced(page)
            assert any(each.startswith(f"{said}:") for each in found), (content, found)
        await page.set_content(WELL)
        assert await misplaced(page) == []
