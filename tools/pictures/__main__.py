"""`python -m pictures DOCS`: run the demo, record its terminal and photograph its web view. Takes three minutes.

Chromium comes from the machine, as for the tests: `make servers`. Nothing is drawn by hand, so the pictures show what a
reader will see.
"""

import asyncio
import re
import sys
import time
from pathlib import Path
from typing import Any, Final

import httpx

from kgents_cli.demonstration import NOTICE
from pictures.cast import Cast, last_picture
from support.browser import chromium, page_at
from support.map_picture import OF_SCREENSHOTS
from support.terminal import Terminal
from support.waiting import eventually

COLUMNS, LINES = 110, 32
LENGTH_S: Final = 170.0
"""Of the recording: until the origin is named, and the database is well again."""
SIZE: Final = (1280, 800)
QUALITY: Final = 72
SETTLED_S: Final = 4.0
"""Until a map has found its layout, and figures have come."""
WITH_A_CARD: Final = "document.querySelectorAll('.map-software').forEach((each) => each.remove())"
"""A browser for tests has no graphics card, and says so on the map; a reader's has one."""
STARTS_S: Final = 60.0
ADDRESS: Final = re.compile(r"http://127\.0\.0\.1:\d+/")
PROGRAM: Final = str(Path(sys.executable).with_name("kgents"))


async def main(docs: Path) -> None:
    """Write DOCS/demo.cast and the pictures of DOCS/images."""
    cast = Cast(COLUMNS, LINES, "kgents up --demo")
    with Terminal([PROGRAM, "up", "--demo"], columns=COLUMNS, lines=LINES) as terminal:
        async with asyncio.TaskGroup() as tasks:
            recording = tasks.create_task(_record(terminal, cast))
            address = await _address(terminal)
            await _photograph(address, docs / "images")
            await recording
        terminal.press("\x03")
        await asyncio.to_thread(terminal.ended)
    (docs / "demo.cast").write_text(cast.text(), encoding="utf-8")


async def _record(terminal: Terminal, cast: Cast) -> None:
    started_s = time.monotonic()
    while (second := time.monotonic() - started_s) < LENGTH_S:
        if picture := last_picture(terminal.written):
            cast.show(second, picture)
        await asyncio.sleep(1.0)


async def _address(terminal: Terminal) -> str:
    await eventually(lambda: NOTICE in terminal.written, STARTS_S)
    found = await eventually(lambda: ADDRESS.search(terminal.written))
    return str(found.group())


async def _photograph(address: str, images: Path) -> None:
    """The views, as soon as there is an incident of the database."""
    incident = await _incident(address)
    deployment = await _id_of(address, "deployment", "checkout")
    views = {
        "incident": f"#view=table&tab=incidents&incident={incident}",
        "map-3d": "#view=space",
        "map-2d-deployment": f"#view=flat&id={deployment}",
        "load": "#view=flat&tab=load",
    }
    async with chromium() as browser:
        for name, link in views.items():
            async with page_at(browser, f"{address}{link}", size=SIZE, allowed=(OF_SCREENSHOTS,)) as page:
                await page.locator(".banner.replayed").wait_for()
                await asyncio.sleep(SETTLED_S)
                await page.evaluate(WITH_A_CARD)
                await page.screenshot(path=str(images / f"{name}.jpg"), type="jpeg", quality=QUALITY)


async def _incident(address: str) -> str:
    """The incident whose cause is the database."""
    async with asyncio.timeout(LENGTH_S):
        while True:
            found = (await _asked(address, "api/v1/incidents")).get("incidents", [])
            for each in found:
                if each["root"]["ref"]["kind"] == "database":
                    return str(each["id"])
            await asyncio.sleep(0.5)


async def _id_of(address: str, kind: str, name: str) -> str:
    page = await _asked(address, f"api/v1/entities?kinds={kind}")
    return str(next(each["id"] for each in page["entities"] if each["ref"]["name"] == name))


async def _asked(address: str, path: str) -> Any:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"{address}{path}")).json()
        except (httpx.TransportError, ValueError):  # it is starting
            return {}


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
