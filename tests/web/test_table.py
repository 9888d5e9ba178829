"""The web view's table, filters and side panel, in a real browser against a real gateway."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.view.entity import key_of_ref
from support.browser import DESKTOP, PHONE, boxes, lies_well, names, page_at, violations
from support.build import make_ref
from support.gateway import Running, caught_up
from support.state import edge, make_alert, make_event, make_health, make_topology, publish, removed
from support.waiting import eventually

NODE = Ref("local", "node", "n1")
DEPLOYMENT = Ref("local", "deployment", "cart", "shop")
CART = key_of_ref(make_ref("cart-2"))
PODS = 60
KEPT = 16
"""Versions of one subject that a stream keeps."""
LAST = "cart-9"
"""Of the healthy ones: they are listed by kind, namespace and name."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def shop(bus: Bus, gateway: Running) -> None:
    """Sixty pods of a deployment on one node; one is critical, one a warning."""
    pods = [f"cart-{number}" for number in range(1, PODS + 1)]
    levels = {"cart-2": "critical", "cart-3": "warning"}
    await publish(bus, make_topology(ref=NODE), make_health(ref=NODE), make_topology(ref=DEPLOYMENT))
    await publish(
        bus,
        *(
            make_topology(
                pod, labels={"app": "cart"}, connections=[edge("runs_on", NODE), edge("owns", DEPLOYMENT, "in")]
            )
            for pod in pods
        ),
        *(make_health(pod, level=levels.get(pod, "healthy")) for pod in pods),
        make_alert("cart-2"),
        make_event("cart-2", number=1),
    )
    session, now = await bus.session(), datetime.now(UTC)
    for number in range(5):
        pulse = ResourcePulse(
            ref=make_ref("cart-2"), source="k8s", timestamp=now + timedelta(seconds=number), interval_s=1.0,
            cpu_percent=10.0 + number, memory_bytes=64 * 2**20, memory_limit_bytes=128 * 2**20,
        )  # fmt: skip
        await session.request(pulse.ref.subject("pulse", source="k8s"), encode(pulse))
    await caught_up(bus, gateway)


async def has(page: Any, selector: str, text: str) -> None:
    """Wait until an element with this text is in sight."""
    await page.locator(selector, has_text=text).first.wait_for(state="visible")


async def test_every_entity_is_a_row_and_the_worst_come_first(gateway: Running, browser: Any) -> None:
    async with page_at(browser, gateway.server.address) as page:
        await has(page, ".freshness", "Live")
        await has(page, ".filters .count", f"{PODS + 2} entities")
        assert (await names(page))[:3] == ["cart-2", "cart-3", "cart"]
        assert await page.locator("[role=grid]").get_attribute("aria-rowcount") == str(PODS + 3)
        assert await page.locator(".table .body .row").count() < PODS
        await lies_well(page)
        await page.locator(".table").evaluate("(each) => each.scrollTo(0, each.scrollHeight)")
        await has(page, ".table .body .row", LAST)
        await lies_well(page)


async def test_a_change_shows_by_itself_and_so_does_a_removal(bus: Bus, gateway: Running, browser: Any) -> None:
    async with page_at(browser, gateway.server.address) as page:
        await has(page, ".table .row", "cart-2")
        await publish(bus, make_topology("added"), make_health("added", level="critical", score=0.01))
        await eventually(lambda: _is_first(page, "added"))
        await has(page, ".tile.critical .number", "2")
        await publish(bus, removed(make_health("added")), removed(make_topology("added")))
        await eventually(lambda: _is_first(page, "cart-2"))
        await page.locator(".table .row", has_text="added").wait_for(state="detached")
        await has(page, ".tile.critical .number", "1")


async def _is_first(page: Any, name: str) -> bool:
    return (await names(page))[:1] == [name]


async def test_a_filter_and_a_search_narrow_every_figure_and_are_in_the_link(gateway: Running, browser: Any) -> None:
    async with page_at(browser, gateway.server.address) as page:
        await page.get_by_role("checkbox", name="Critical").check()
        await has(page, ".filters .count", f"1 of {PODS + 2} entities")
        await eventually(lambda: _are(page, ["cart-2"]))
        await has(page, ".tile.healthy .number", "0")
        await page.get_by_role("checkbox", name="Critical").uncheck()
        await page.get_by_label("Labels").fill("app=cart, tier!=web")
        await has(page, ".filters .count", f"{PODS} of {PODS + 2} entities")
        await page.get_by_label("Labels").fill("app=cart, tier!=web, =")
        await has(page, ".fault", "it is no condition on a label: =")
        assert await violations(page) == []
        await page.get_by_label("Labels").fill("app=cart, tier!=web")
        await page.locator(".fault").wait_for(state="hidden")
        await page.keyboard.press("Tab")
        await page.keyboard.press("/")
        await page.keyboard.type("shop/CART-3")
        await eventually(lambda: _are(page, ["cart-3", *(f"cart-{number}" for number in range(30, 40))]))
        address = page.url
    async with page_at(browser, address) as page:
        await eventually(lambda: _are(page, ["cart-3", *(f"cart-{number}" for number in range(30, 40))]))
        await page.get_by_label("Search").fill("nothing is called so")
        await has(page, ".empty", "No entity passes these filters.")
        await page.get_by_role("button", name="Clear filters").click()
        await has(page, ".filters .count", f"{PODS + 2} entities")


async def _are(page: Any, expected: list[str]) -> bool:
    return await names(page) == expected


async def test_a_filter_says_which_alerts_and_events_it_leaves_out(gateway: Running, browser: Any) -> None:
    async with page_at(browser, f"{gateway.server.address}/#kind=node&tab=alerts") as page:
        await has(page, "#panel-body", "No alert of what is selected fires; 1 other does.")
        await page.get_by_role("tab", name="Events").click()
        await has(page, "#panel-body", "1 event is left out: of entities that do not pass the filters.")
        assert await page.locator(".event").count() == 0
        await page.get_by_role("button", name="Clear filters").click()
        await has(page, ".event", "cart-2")


async def test_the_side_panel_says_why_and_what_is_connected(gateway: Running, browser: Any) -> None:
    async with page_at(browser, gateway.server.address) as page:
        await page.locator(".table .row", has_text="cart-2").first.click()
        await has(page, ".details h2", "cart-2")
        await has(page, ".reasons", "is not ready")
        await has(page, ".ends", "n1")
        await has(page, ".facts", "cart")
        await has(page, ".figure", "14 %")
        await page.locator(".figure canvas").first.wait_for()
        drawn = await page.locator(".figure canvas").first.evaluate(
            "(each) => each.getContext('2d').getImageData(0, 0, each.width, each.height).data.some((part) => part > 0)"
        )
        assert drawn
        assert await page.locator(".figure meter").first.evaluate("(each) => each.value / each.max") == 0.5
        await page.get_by_role("button", name="Show what its loss would reach").click()
        await has(page, ".details", "Its loss would")
        await page.get_by_role("tab", name="Alerts").click()
        await has(page, ".alerts", "KG-001")
        await page.get_by_role("tab", name="Events").click()
        await has(page, ".event", "cart-2")
        assert f"id={CART}" in page.url
        await page.get_by_role("tab", name="Details").click()
        await page.locator(".ends .entity-link", has_text="n1").click()
        await has(page, ".details h2", "n1")
        await has(page, ".ends h3", "From")


async def test_everything_is_reached_by_keyboard(gateway: Running, browser: Any) -> None:
    async with page_at(browser, gateway.server.address) as page:
        await has(page, ".table .row", "cart-2")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.role") == "grid"
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        await has(page, ".row.selected", "cart-3")
        active = await page.locator("[role=grid]").get_attribute("aria-activedescendant")
        assert await page.locator(f"#{active}").get_attribute("aria-selected") == "true"
        await has(page, ".details h2", "cart-3")
        await page.keyboard.press("End")
        await has(page, ".row.selected", LAST)
        [(_, top, _, bottom)] = await boxes(page, ".row.selected")
        [(_, _, _, above)] = await boxes(page, ".table .head")
        [(_, _, _, below)] = await boxes(page, ".table")
        assert above <= top < bottom <= below + 0.5
        await page.keyboard.press("Escape")
        await eventually(lambda: _has_no_selection(page))
        await page.keyboard.press("?")
        await page.get_by_role("dialog").wait_for()
        assert await violations(page) == []
        await page.keyboard.press("Escape")
        await page.get_by_role("dialog").wait_for(state="detached")


async def test_the_path_between_two_entities_is_found_by_keyboard_and_with_shift(
    gateway: Running, browser: Any
) -> None:
    async with page_at(browser, gateway.server.address) as page:
        await page.locator(".table .row", has_text="cart-2").first.click()
        await page.keyboard.press("p")
        await has(page, ".details", "Select the other end")
        assert await page.locator(".row.dim").count() == 0
        await page.keyboard.press("ArrowDown")
        await has(page, ".details h2", "cart-3")
        await has(page, ".path h3", "2 connections from")
        steps = await page.locator(".path li").all_inner_texts()
        assert [each.split()[-1].rpartition("/")[2] for each in steps] == ["cart-2", "cart", "cart-3"]
        await has(page, ".row:not(.dim)", "cart-2")
        await has(page, ".row:not(.dim)", "deployment")
        await has(page, ".row.dim", "cart-10")
        assert f"from={CART}" in page.url
        await page.locator(".table .row", has_text="cart-10").first.click(modifiers=["Shift"])
        await has(page, ".details h2", "cart-10")
        await has(page, ".path li", "cart-10")
        assert await violations(page) == []
        await page.keyboard.press("Escape")
        await page.locator(".row.dim").first.wait_for(state="detached")
        await has(page, ".details h2", "cart-10")


async def _has_no_selection(page: Any) -> bool:
    return await page.locator(".row.selected").count() == 0 and "id=" not in page.url


async def test_any_moment_of_the_past_and_what_differs_from_it(bus: Bus, gateway: Running, browser: Any) -> None:
    then = datetime.now(UTC)
    await eventually(lambda: datetime.now(UTC) > then + timedelta(milliseconds=50))
    later = f"later-{'x' * 90}"
    await publish(bus, make_topology(later), make_health(later, level="critical", score=0.02))
    address = f"{gateway.server.address}/#at={then.isoformat().replace('+00:00', 'Z')}"
    async with page_at(browser, address, allowed=("status of 400",)) as page:
        await has(page, ".banner", "You see")
        await has(page, ".filters .count", f"{PODS + 2} entities")
        assert later not in await names(page)
        await page.get_by_role("tab", name="Changes").click()
        await has(page, ".changes", "later")
        [(_, _, beside, _)] = await boxes(page, "ul.changes")
        assert all(right <= beside for _, _, right, _ in await boxes(page, "ul.changes *")), "no name runs out of it"
        *tabs, close = await boxes(page, ".panel-head button")
        assert tabs[-1][2] <= close[0] < close[2] <= DESKTOP[0], "four tabs fit beside the button that closes the panel"
        await page.get_by_role("button", name="Back to now").click()
        await eventually(lambda: _is_first(page, later))
        await page.get_by_role("slider").focus()
        await page.keyboard.press("ArrowLeft")
        await has(page, ".freshness", "Past")
        assert "at=" in page.url
        await page.evaluate("() => { location.hash = '#at=2999-01-01T00:00:00Z' }")
        await has(page, ".banner", "That moment cannot be shown")
        await eventually(lambda: _are(page, []))  # and never what is there now
    await publish(bus, removed(make_health(later)), removed(make_topology(later)))


async def test_a_moment_has_its_own_impact_and_what_is_not_kept_of_it_is_said(
    bus: Bus, gateway: Running, browser: Any
) -> None:
    old = Ref("local", "node", "old")
    await publish(bus, make_topology(ref=old), make_topology("moved", connections=[edge("runs_on", old)]))
    await publish(bus, make_topology("restless"), make_health("restless"), make_topology("worn"))
    then = datetime.now(UTC) + timedelta(milliseconds=20)
    await eventually(lambda: datetime.now(UTC) > then + timedelta(milliseconds=20))
    await publish(bus, make_topology("moved"), make_topology("late"))
    for number in range(KEPT):
        await publish(
            bus, make_health("restless", score=0.9 + number / 1000), make_topology("worn", status=f"{number}")
        )
    at = f"at={then.isoformat().replace('+00:00', 'Z')}"
    async with page_at(browser, f"{gateway.server.address}/#{at}&id={key_of_ref(old)}") as page:
        await page.get_by_role("button", name="Show what its loss would reach").click()
        await has(page, ".details", "Its loss would take 1 entity down")
        await has(page, ".details .plain .entity-link", "moved")
        await has(page, ".banner", "2 entities have changed too often since")
        for name, said in (
            ("restless", "How healthy it was at this moment is no longer kept."),
            ("worn", "How it was at this moment is no longer kept."),
            ("late", "It was not there at this moment."),
        ):
            await page.evaluate("hash => { location.hash = hash }", f"#{at}&id={key_of_ref(make_ref(name))}")
            await has(page, ".panel-body", said)
        await page.evaluate("hash => { location.hash = hash }", f"#id={key_of_ref(old)}")
        await page.get_by_role("button", name="Show what its loss would reach").click()
        await has(page, ".details", "Nothing depends on it.")
    await publish(bus, removed(make_health("restless")), removed(make_topology(ref=old)))
    await publish(bus, *(removed(make_topology(each)) for each in ("moved", "restless", "worn", "late")))


async def test_ages_and_history_end_at_the_moment_that_is_shown(bus: Bus, gateway: Running, browser: Any) -> None:
    since = datetime.now(UTC)
    await publish(bus, make_topology("aged"), make_health("aged", level="warning", since=since))
    age_s = math.ceil((datetime.now(UTC) - since).total_seconds())  # whole: what is shown does not depend on rounding
    then = since + timedelta(seconds=age_s)
    await eventually(lambda: datetime.now(UTC) > then + timedelta(seconds=3))
    await publish(bus, make_health("aged", level="critical", score=0.02, since=datetime.now(UTC)))
    address = (
        f"{gateway.server.address}/#at={then.isoformat().replace('+00:00', 'Z')}&id={key_of_ref(make_ref('aged'))}"
    )
    async with page_at(browser, address) as page:
        await has(page, ".facts", f"({age_s} s ago)")
        await page.locator(".history li").first.wait_for()
        past = await page.locator(".history li").count()
        await page.get_by_role("button", name="Back to now").click()
        await eventually(lambda: _has_more(page, ".history li", past))
    await publish(bus, removed(make_health("aged")), removed(make_topology("aged")))


async def _has_more(page: Any, selector: str, count: int) -> bool:
    return bool(await page.locator(selector).count() > count)


async def test_a_phone_has_rows_of_three_lines_and_a_sheet(gateway: Running, browser: Any) -> None:
    async with page_at(browser, gateway.server.address, size=PHONE, has_touch=True, color_scheme="dark") as page:
        await has(page, ".table .row", "cart-2")
        await lies_well(page)
        assert await violations(page) == []
        await has(page, ".sorting .count", f"{PODS + 2} entities")
        await has(page, ".row .cell.why", "not ready")
        await page.get_by_label("Sorted by").select_option("Kind")
        await eventually(lambda: _is_first(page, "cart"))
        await page.get_by_label("Sorted by").select_option("Health")
        await page.locator(".table .row", has_text="cart-3").first.tap()
        await has(page, ".panel .details h2", "cart-3")
        [(left, top, right, bottom)] = await boxes(page, ".panel")
        assert (left, right, bottom) == (0, PHONE[0], PHONE[1])
        assert top > 200
        await page.get_by_role("button", name="Close").tap()
        await page.get_by_role("button", name="Filters").tap()
        await page.get_by_role("checkbox", name="Warning").tap()
        await eventually(lambda: _are(page, ["cart-3"]))
