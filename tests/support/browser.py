"""A real Chromium, driven by Playwright, and what a person would notice of a page: what it says, where it lies."""

import importlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from kgents_gateway.http.pages import BUILT
from support.programs import home_of, need
from support.waiting import MACHINE

SOURCES: Final = Path(__file__).parents[2] / "services/gateway/web"
AXE: Final = SOURCES / "node_modules/axe-core/axe.min.js"
DESKTOP: Final = (1280, 800)
PHONE: Final = (390, 844)
OPTIONS: Final = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")
NETWORK_CHANGED: Final = "ERR_NETWORK_CHANGED"
"""What Chromium says to all that it was loading when this machine got or lost an address: other tests make networks."""
_ALSO: Final = {"target-size": {"enabled": True}}
"""Of WCAG 2.2 AA, which axe leaves out unless asked: what is pressed is 24 pixels wide and high, or far from others."""
_AXE: Final = """
([part, options]) => axe.run(part, options).then((found) => found.violations.map((each) =>
  `${each.id}: ${each.nodes.map((node) => node.html.slice(0, 200)).join("; ")}`))
"""

Page = Any
"""Of Playwright, which is not installed beside the project, but aside."""


@asynccontextmanager
async def chromium() -> AsyncIterator[Any]:
    """A browser without a window."""
    program = need("chromium")
    need("playwright")
    assert (BUILT / "index.html").exists(), "the web view is not built; try `make web`"
    home = str(home_of("playwright"))
    if home not in sys.path:
        sys.path.append(home)
    api: Any = importlib.import_module("playwright.async_api")
    async with api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(program), args=list(OPTIONS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def page_at(
    browser: Any, address: str, *, size: tuple[int, int] = DESKTOP, allowed: tuple[str, ...] = (), **options: Any
) -> AsyncIterator[Page]:
    """A page in a fresh profile. At its end nothing may have been said in its console, nor refused by its policy.

    Args:
        browser: which draws it.
        address: to open.
        size: of the window.
        allowed: parts of messages that are expected.
        options: of Playwright's context.
    """
    width, height = size
    context = await browser.new_context(viewport={"width": width, "height": height}, **options)
    context.set_default_timeout(MACHINE.limit_s(20) * 1_000)
    page = await context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    try:
        await _open(page, address)
        yield page
        unexpected = [text for text in said if not any(each in text for each in (*allowed, NETWORK_CHANGED))]
        assert not unexpected, unexpected
    finally:
        await context.close()


async def _open(page: Page, address: str) -> None:
    """Load a page; again, if the machine's network changed meanwhile, which may have cost it a script or a style."""
    failed: list[str] = []

    def note(request: Any) -> None:
        failed.append(request.failure or "")

    page.on("requestfailed", note)
    for _ in range(5):
        failed.clear()
        try:
            await page.goto(address)
        except Exception as error:  # of a library that is not imported here
            failed.append(str(error))
            if NETWORK_CHANGED not in str(error):
                raise
        if not any(NETWORK_CHANGED in each for each in failed):
            break
    page.remove_listener("requestfailed", note)


async def names(page: Page) -> list[str]:
    """The names in the rows, from top to bottom."""
    found: list[str] = await page.evaluate(
        "[...document.querySelectorAll('.table .body .row')]"
        ".sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top)"
        ".map((row) => row.querySelector('.cell.name .for-readers') ?? row.querySelector('.cell.name .text'))"
        ".map((name) => name.textContent)"
    )
    return found


async def violations(page: Page, part: str = "html", *, rules: list[str] | None = None) -> list[str]:
    """What axe finds. It is given through the debugger, so that the policy of the page stays as it is.

    Args:
        page: to look at.
        part: of it, as a selector.
        rules: these alone; None: all.
    """
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    which: dict[str, Any] = {"runOnly": rules} if rules is not None else {"rules": _ALSO}
    found: list[str] = await page.evaluate(_AXE, [part, {"resultTypes": ["violations"], **which}])
    return found


async def boxes(page: Page, selector: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of all visible elements, in the order of the document."""
    found: list[list[float]] = await page.evaluate(
        f"[...document.querySelectorAll({json.dumps(selector)})].map((each) => each.getBoundingClientRect())"
        ".filter((box) => box.width > 0).map((box) => [box.left, box.top, box.right, box.bottom])"
    )
    return [(left, top, right, bottom) for left, top, right, bottom in found]


async def lies_well(page: Page) -> None:
    """Rows lie below each other, cells beside each other, and nothing reaches beyond the window."""
    width = await page.evaluate("innerWidth")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    rows = sorted(await boxes(page, ".table .body .row"), key=lambda box: box[1])
    assert rows
    for (_, _, _, bottom), (_, top, _, _) in pairwise(rows):
        assert top >= bottom - 0.5, rows
    [(left, _, right, _)] = await boxes(page, ".table")
    first = ".table .body .row:nth-child(1) .cell"
    cells = await boxes(page, first)
    for index, (one_left, one_top, one_right, one_bottom) in enumerate(cells):
        assert left <= one_left < one_right <= right, (left, right, cells)
        for other_left, other_top, other_right, other_bottom in cells[index + 1 :]:
            is_beside = one_right <= other_left + 0.5 or other_right <= one_left + 0.5
            is_below = one_bottom <= other_top + 0.5 or other_bottom <= one_top + 0.5
            assert is_beside or is_below, cells
    headings = sorted(await boxes(page, ".table .head .cell"))
    for heading, cell in zip(headings, sorted(cells), strict=False):
        assert abs(heading[0] - cell[0]) < 1, (headings, cells)
