"""The 2D and the 3D map in a real browser: what is seen is what is there, and what is clicked is what is seen."""

from typing import Any

import pytest
import pytest_asyncio

from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref, Traffic
from kgents_shared.contract.topology import ResolvedConnection
from kgents_shared.view.entity import key_of_ref
from support.browser import DESKTOP, PHONE, boxes, page_at, violations
from support.build import make_ref
from support.gateway import Running, caught_up
from support.map_picture import (
    DRAWN_AT_MOST,
    OF_SCREENSHOTS,
    Spot,
    click,
    corner,
    figure,
    is_drawn,
    is_same,
    spot,
    spots,
)
from support.state import edge, make_health, make_topology, publish, removed
from support.waiting import MACHINE, eventually, settled

NODE = Ref("test", "node", "n1")
DEPLOYMENT = Ref("test", "deployment", "cart", "shop")
PODS = 24
CRITICAL_POD, WARNING_POD = "cart-2", "cart-9"
VIEWS = ("flat", "space")
CRITICAL, WARNING, HEALTHY = "--level-critical", "--level-warning", "--level-healthy"


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def shop(bus: Bus, gateway: Running) -> None:
    """Pods of one deployment; one critical, one a warning. One edge has a rate."""
    pods = [f"cart-{number}" for number in range(1, PODS + 1)]
    levels = {CRITICAL_POD: "critical", WARNING_POD: "warning"}
    calls = ResolvedConnection("http", make_ref("cart-3"), traffic=Traffic(requests_per_sec=20.0))
    of_all = [edge("runs_on", NODE), edge("owns", DEPLOYMENT, "in")]
    await publish(
        bus,
        *(make_topology(ref=ref) for ref in (NODE, DEPLOYMENT)),
        *(make_health(ref=ref) for ref in (NODE, DEPLOYMENT)),
        *(make_topology(pod, connections=[*of_all, calls] if pod == "cart-1" else of_all) for pod in pods),
        *(make_health(pod, level=levels.get(pod, "healthy")) for pod in pods),
    )
    await caught_up(bus, gateway)


def opened(browser: Any, gateway: Running, view: str, **options: Any) -> Any:
    """The page with one of the maps, in light colours."""
    return page_at(
        browser, f"{gateway.server.address}#view={view}", color_scheme="light", allowed=(OF_SCREENSHOTS,), **options
    )


@pytest.mark.parametrize("view", VIEWS)
async def test_the_entity_at_a_pixel_is_the_one_that_is_drawn_there(gateway: Running, browser: Any, view: str) -> None:
    async with opened(browser, gateway, view) as page:
        await is_drawn(page)
        assert int(await figure(page, "calls")) <= DRAWN_AT_MOST
        for variable, pod in ((CRITICAL, CRITICAL_POD), (WARNING, WARNING_POD)):
            await click(page, await spot(page, variable))
            await page.wait_for_url(f"**id={key_of_ref(make_ref(pod))}*")
            await page.keyboard.press("Escape")
            await eventually(lambda: "id=" not in page.url)
        left, top = await corner(page)
        await click(page, await spot(page, CRITICAL))
        await page.wait_for_url("**id=*")
        await page.mouse.click(left + 30, top + 500)
        await eventually(lambda: "id=" not in page.url)


@pytest.mark.parametrize("view", VIEWS)
async def test_a_change_shows_by_itself_and_moves_neither_the_eye_nor_others(
    bus: Bus, gateway: Running, browser: Any, view: str
) -> None:
    async with opened(browser, gateway, view) as page:
        await is_drawn(page)
        before = await spots(page, CRITICAL)
        elsewhere = make_ref("far", namespace="other")
        await publish(bus, make_topology(ref=elsewhere), make_health(ref=elsewhere))
        await page.locator(".map-count", has_text=f"{PODS + 3} entities").wait_for()
        await is_drawn(page)
        assert is_same(await spots(page, CRITICAL), before)
        await publish(bus, make_health("cart-12", level="critical"))
        await eventually(lambda: _has_more(page, before))
        await publish(bus, make_health("cart-12"))
        await eventually(lambda: _has(page, before))
        new = make_topology("new", connections=[edge("owns", DEPLOYMENT, "in")])
        await publish(bus, new, make_health("new", level="critical"))
        await eventually(lambda: _has_more(page, before))
        await publish(bus, removed(make_health("new")), removed(new), removed(make_health(ref=elsewhere)))
        await publish(bus, removed(make_topology(ref=elsewhere)))
        await eventually(lambda: _has(page, before))


async def _has_more(page: Any, before: list[Spot]) -> bool:
    return sum(each.pixels for each in await spots(page, CRITICAL)) > 1.5 * sum(each.pixels for each in before)


async def _has(page: Any, before: list[Spot]) -> bool:
    return is_same(await spots(page, CRITICAL), before)


async def test_everyone_sees_the_same_map_and_finds_the_way_back_to_it(gateway: Running, browser: Any) -> None:
    async with opened(browser, gateway, "space") as page, opened(browser, gateway, "space") as other:
        await is_drawn(page)
        await is_drawn(other)
        first = await spots(page, WARNING)
        assert is_same(await spots(other, WARNING), first)
        left, top = await corner(page)
        await page.mouse.move(left + 300, top + 300)
        await page.mouse.wheel(0, -600)
        await eventually(lambda: _differs(page, first))
        await page.keyboard.press("f")
        await eventually(lambda: _is_back(page, first))
        await page.get_by_label("Islands by").select_option("kind")
        await eventually(lambda: _differs(page, first))
        await page.get_by_label("Islands by").select_option("namespace")
        await eventually(lambda: _is_back(page, first))


async def _differs(page: Any, first: list[Spot]) -> bool:
    return not is_same(await spots(page, WARNING), first, within=3)


async def _is_back(page: Any, first: list[Spot]) -> bool:
    return is_same(await spots(page, WARNING), first)


async def test_a_click_with_shift_shows_the_path_to_what_is_selected(gateway: Running, browser: Any) -> None:
    async with opened(browser, gateway, "flat") as page:
        await is_drawn(page)
        warning, critical = await spot(page, WARNING), await spot(page, CRITICAL)
        await click(page, warning)
        await page.wait_for_url("**id=*")
        await eventually(lambda: _is_dim(page, CRITICAL))
        await page.keyboard.down("Shift")
        await click(page, critical)
        await page.keyboard.up("Shift")
        await page.wait_for_url(f"**from={key_of_ref(make_ref(WARNING_POD))}*")
        await page.locator(".path li").nth(2).wait_for()
        await eventually(lambda: _has_some(page, CRITICAL))
        assert not await _is_dim(page, WARNING), "the beginning of the path is on it"


async def _is_dim(page: Any, variable: str) -> bool:
    return not await spots(page, variable)


async def _has_some(page: Any, variable: str) -> bool:
    return not await _is_dim(page, variable)


@pytest.mark.parametrize("view", VIEWS)
async def test_the_first_picture_fits_between_the_tools_and_the_lower_edge(
    gateway: Running, browser: Any, view: str
) -> None:
    for size in (DESKTOP, PHONE):
        async with opened(browser, gateway, view, size=size) as page:
            await is_drawn(page)
            left, top = await corner(page)
            [(_, _, _, tools)] = await boxes(page, ".map-tools")
            [(_, _, right, bottom)] = await boxes(page, ".map")
            found = [each for colour in (CRITICAL, WARNING, HEALTHY) for each in await spots(page, colour)]
            assert len(found) > 3
            for each in found:
                assert tools - top < each.top < each.y < bottom - top, (each, tools)
                assert 0 < each.x < right - left
            taller = max(each.y for each in found) - min(each.top for each in found)
            wider = max(each.x for each in found) - min(each.x for each in found)
            assert taller > 0.4 * (bottom - tools) or wider > 0.5 * (right - left), "and is not tiny"


async def test_nothing_is_drawn_while_nothing_moves(gateway: Running, browser: Any) -> None:
    async with opened(browser, gateway, "flat") as page:
        await is_drawn(page)
        motion = page.get_by_label("Motion")
        assert not await motion.is_checked(), "a processor that draws has no time for motion"
        before = await settled(lambda: figure(page, "frames"), for_s=0.5)
        await motion.check()
        await eventually(lambda: _is_beyond(page, before))
        await page.emulate_media(reduced_motion="reduce")
        await eventually(lambda: _is_unchecked(motion))


async def _is_beyond(page: Any, frames: str) -> bool:
    return int(await figure(page, "frames")) > int(frames) + 3


async def _is_unchecked(box: Any) -> bool:
    is_checked: bool = await box.is_checked()
    return not is_checked


async def test_the_map_is_hidden_from_readers_and_its_tools_are_not(gateway: Running, browser: Any) -> None:
    async with opened(browser, gateway, "space") as page:
        await is_drawn(page)
        assert await page.locator(".map canvas:not([aria-hidden=true])").count() == 0
        assert await page.locator(".map-software").is_visible()
        await page.get_by_text("Legend").click()
        await page.locator(".map-legend li", has_text="deployment").wait_for()
        await page.locator(".map-legend li", has_text="runs_on").wait_for()
        await page.locator(".map-legend li", has_text="none to all of its pods ready").wait_for()
        assert await page.locator(".map-legend li", has_text="Stream").count() == 0, "of what the map shows"
        await page.get_by_role("button", name="Dark colours").click()
        assert await violations(page) == []


async def test_a_browser_that_cannot_draw_is_told_where_to_read(gateway: Running, browser: Any) -> None:
    async with opened(browser, gateway, "table") as page:
        await page.add_init_script(
            "const own = HTMLCanvasElement.prototype.getContext;"
            "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
            " return kind.startsWith('webgl') ? null : own.call(this, kind, ...rest); };"
        )
        await page.goto(f"{gateway.server.address}?again#view=space")
        await page.get_by_text("The table shows the same entities").wait_for(timeout=MACHINE.limit_s(10) * 1_000)


async def test_a_map_that_is_left_gives_back_its_graphics_context(gateway: Running, browser: Any) -> None:
    async with opened(browser, gateway, "flat") as page:
        await is_drawn(page)
        held = await page.evaluate_handle("document.querySelector('.map canvas').getContext('webgl2')")
        await page.keyboard.press("1")
        await page.locator(".table .row").first.wait_for()
        await eventually(lambda: held.evaluate("(context) => context.isContextLost()"))  # a browser has 16 of them
        await page.keyboard.press("2")
        await is_drawn(page)
        assert await spots(page, CRITICAL) != []


async def test_the_map_fits_a_phone(gateway: Running, browser: Any) -> None:
    async with opened(browser, gateway, "flat", size=PHONE, has_touch=True) as page:
        await is_drawn(page)
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        left, top = await corner(page)
        critical = await spot(page, CRITICAL)
        await page.touchscreen.tap(left + critical.x, top + critical.y)
        await page.wait_for_url(f"**id={key_of_ref(make_ref(CRITICAL_POD))}*")
