"""Names that anyone may choose, in every panel: they are text, stay where they belong, and stop no view."""

from typing import Any, Final

from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.view.entity import key_of_ref
from support.browser import page_at
from support.decisions import stored
from support.gateway import Running, caught_up
from support.incidents import make_incident
from support.map_picture import OF_SCREENSHOTS, is_drawn
from support.misplaced import misplaced
from support.state import edge, make_alert, make_event, make_health, make_topology, publish
from support.waiting import eventually

NAMES: Final = (
    "<img src=x onerror=document.title=1>",
    "\"><script>document.title='owned'</script>",
    "javascript:alert(1)",
    "a\u202egnp.exe",
    "__proto__",
    "constructor",
    "toString",
    "&lt;b&gt;${7*7}{{7*7}}%00",
    "long" * 75,
    "\u0000\n\t\u2028",
    "💥" * 40,
)
TABS: Final = ("details", "events", "alerts", "incidents", "load")


async def test_names_are_text_everywhere_and_stop_nothing(bus: Bus, gateway: Running, browser: Any) -> None:
    refs = [Ref("test", "pod", name, name) for name in NAMES]
    refs += [Ref("test", name, "odd", "shop") for name in NAMES[4:7]]
    for ref, other in zip(refs, refs[1:] + refs[:1], strict=True):
        named = {ref.name: ref.name, ref.kind: other.name}
        await publish(
            bus,
            make_topology(ref=ref, labels=named, attributes=named, status=ref.name, reason=ref.name,
                          connections=[edge(ref.name, other)]),
            make_health(ref=ref, level="critical", text=ref.name), make_alert(ref=ref, text=ref.name),
            make_event(ref=ref, number=refs.index(ref), severity=ref.name, text=ref.name, message=ref.name,
                       reason=ref.name),
        )  # fmt: skip
    await stored(bus, make_incident(ref=refs[0], title=NAMES[0]), make_incident("x", ref=refs[1], title=NAMES[1]))
    await caught_up(bus, gateway)
    address = f"{gateway.server.address}#q="
    async with page_at(browser, address, allowed=(OF_SCREENSHOTS,)) as page:
        await page.locator(".filters .count", has_text=f"{len(refs)} entities").wait_for()
        for ref in refs:
            await to(page, f"id={key_of_ref(ref)}")
            await page.locator(".details .title", has_text=ref.kind).wait_for()
            await eventually(lambda: is_in_place(page))
        for tab in TABS:
            await to(page, f"tab={tab}")
            await page.locator(".panel-body").wait_for()
            await eventually(lambda: is_in_place(page))
        await to(page, "tab=events")
        await page.locator(".event .severity", has_text="constructor").first.wait_for()
        await to(page, "labels=constructor")
        await page.locator(".filters .count", has_text=f"2 of {len(refs)}").wait_for()
        for view in ("flat", "space"):
            await to(page, f"view={view}&id={key_of_ref(refs[3])}")
            await is_drawn(page)
        assert await page.evaluate("document.querySelectorAll('main img, main script, .page img').length") == 0
        await eventually(lambda: is_titled(page))


async def to(page: Any, link: str) -> None:
    await page.evaluate("hash => { location.hash = hash }", f"#{link}")


async def is_in_place(page: Any) -> bool:
    return await misplaced(page) == []


async def is_titled(page: Any) -> bool:
    return "critical" in await page.title()
