"""What the page does when the gateway goes, comes back, or cannot read: it says so, and goes on by itself."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from kgents_gateway.stream import frames
from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.tokens import Token, digest_of
from support.browser import names, page_at, violations
from support.build import NOW
from support.gateway import Running, serving
from support.nats_server import NatsServer
from support.nginx import Nginx
from support.ports import free_port
from support.process import accepts
from support.service_process import ServiceProcess
from support.state import make_health, make_topology, publish, removed
from support.waiting import eventually

EXPECTED = ("502", "503", "ERR_")
"""What a browser says by itself about requests that fail."""

HIDE = (
    "Object.defineProperty(document, 'hidden', {{configurable: true, get: () => {}}});"
    "document.dispatchEvent(new Event('visibilitychange'))"
)


EVENT_SOURCE = """() => {
  window.heard = [];
  const source = new EventSource("api/v1/stream/entities");
  for (const name of ["hello", "batch", "upsert", "ready", "reset"])
    source.addEventListener(name, ({ data }) => window.heard.push(data));
}"""


async def text_of(page: Any, selector: str) -> str:
    found: str = await page.locator(selector).inner_text()
    return found


def note(request: Any, asked: list[str]) -> None:
    if "stream/entities" in request.url:
        asked.append(request.headers.get("last-event-id", ""))


async def test_it_goes_on_after_a_restart_behind_a_proxy_that_answers_502(
    bus: Bus, browser: Any, tmp_path: Path
) -> None:
    await publish(bus, make_topology("stays"), make_topology("goes"), make_health("stays", level="critical"))
    port = free_port()
    async with Nginx(tmp_path, port) as proxy:
        async with serving(bus, port=port):
            context = page_at(browser, proxy.address, allowed=EXPECTED)
            page = await context.__aenter__()
            await eventually(lambda: _shows(page, ["stays", "goes"]))
            second = await page.context.new_page()  # another tab of the same person
            await second.goto(proxy.address)
            await eventually(lambda: _shows(second, ["stays", "goes"]))
            asked: list[str] = []
            page.on("request", lambda request: note(request, asked))
        await eventually(lambda: _says(page, ".banner", "Not connected since", "502"))
        await eventually(lambda: _says(page, ".freshness", "Not connected"))
        assert await names(page) == ["stays", "goes"]
        await publish(bus, removed(make_topology("goes")), make_topology("came"), make_health("came", level="warning"))
        async with serving(bus, port=port) as again:
            for each in (page, second):
                await eventually(partial(_shows, each, ["stays", "came"]))
                await each.locator(".banner").wait_for(state="detached")
                await eventually(partial(_says, each, ".freshness", "Live"))
            await eventually(lambda: len(again.gateway.connections) == 2)
            assert all(asked), "it asks for what it missed, and not for everything"
            await context.__aexit__(None, None, None)


async def test_a_browsers_own_client_of_the_stream_goes_on_where_it_was(bus: Bus, browser: Any) -> None:
    await publish(bus, make_topology("one"))
    port = free_port()
    async with serving(bus, port=port):
        context = page_at(browser, f"http://127.0.0.1:{port}", allowed=EXPECTED)
        page = await context.__aenter__()
        await page.evaluate(EVENT_SOURCE)
        await eventually(lambda: _has_heard(page, ["snapshot"], "one"))
    await publish(bus, make_topology("two"))
    async with serving(bus, port=port):
        await eventually(lambda: _has_heard(page, ["snapshot", "resume"], "two"))
        await context.__aexit__(None, None, None)
    await publish(bus, removed(make_topology("one")), removed(make_topology("two")))


async def _has_heard(page: Any, modes: list[str], name: str) -> bool:
    heard: list[str] = await page.evaluate("window.heard")
    found = [json.loads(each) for each in heard if each.startswith("{")]
    named = any(f'"name":"{name}"' in each for each in heard)
    return [each["mode"] for each in found if "mode" in each] == modes and named


async def test_a_gateway_that_cannot_read_calls_nothing_healthy(bus: Bus, gateway: Running, browser: Any) -> None:
    await publish(bus, make_topology("well"), make_health("well"))
    await publish(bus, make_topology("ill"), make_health("ill", level="critical"))
    async with page_at(browser, gateway.server.address) as page:
        await page.locator(".row.healthy", has_text="well").wait_for()
        gateway.gateway.connections.say(frames.stale(NOW, "NATS cannot be reached since 2026-11-29 12:00:00Z"))
        await eventually(lambda: _says(page, ".banner", "NATS cannot be reached"))
        await page.locator(".page.outdated").wait_for()
        await page.locator(".row.unknown", has_text="well").wait_for()
        await page.locator(".row.critical", has_text="ill").wait_for()
        await page.locator(".row.healthy").first.wait_for(state="detached")
        await page.locator(".tile.healthy .number", has_text=re.compile("^0$")).wait_for()
        assert await violations(page) == []
        assert "12:00:00Z" not in await text_of(page, ".banner"), "by the clock of the one who reads it"
        await page.locator(".row.unknown", has_text="well").click()
        await eventually(lambda: _says(page, ".details", "Nothing is heard of it now."))
        assert "Nothing found wrong" not in await text_of(page, ".panel-body")
        await page.keyboard.press("Escape")
        await page.get_by_role("tab", name="Alerts").click()
        await eventually(lambda: _says(page, ".panel-body", "No alert was firing when it was heard last."))
        await page.keyboard.press("4")
        await page.locator(".pipeline header .level.unknown").wait_for()
        assert await page.locator(".pipeline .mark.healthy").count() == 0
        assert await violations(page) == []
        await page.keyboard.press("1")
        gateway.gateway.connections.say(frames.live())
        await page.locator(".banner").wait_for(state="detached")
        await page.locator(".row.healthy", has_text="well").wait_for()
    for name in ("well", "ill"):
        await publish(bus, removed(make_health(name)), removed(make_topology(name)))


async def test_a_gateway_that_hangs_is_not_called_live(
    server: NatsServer, bus: Bus, browser: Any, tmp_path: Path
) -> None:
    await publish(bus, make_topology("before"))
    port = free_port()
    async with ServiceProcess(
        "gateway", server.url, tmp_path, gateway__port=str(port), gateway__stream__heartbeat_s="1"
    ) as gateway:
        await eventually(lambda: accepts(port))
        async with page_at(browser, f"http://127.0.0.1:{port}", allowed=EXPECTED) as page:
            await eventually(lambda: _says(page, ".freshness", "Live"))
            gateway.pause()
            await eventually(lambda: _says(page, ".freshness", "Not connected"))
            gateway.resume()
            await eventually(lambda: _says(page, ".freshness", "Live"))
            await page.locator(".banner").wait_for(state="detached")


async def test_a_page_that_is_hidden_keeps_no_connection_and_goes_on_when_it_is_seen(
    bus: Bus, gateway: Running, browser: Any
) -> None:
    await publish(bus, make_topology("before"))
    async with page_at(browser, "about:blank") as page:
        await page.clock.install()
        await page.goto(gateway.server.address)
        await page.locator(".table .row", has_text="before").wait_for()
        await page.evaluate(HIDE.format("true"))
        await page.clock.fast_forward(25_000)
        await eventually(lambda: len(gateway.gateway.connections) == 0)
        await eventually(lambda: _says(page, ".banner", "Not connected since"))
        await publish(bus, make_topology("meanwhile"))
        await page.evaluate(HIDE.format("false"))
        await page.locator(".table .row", has_text="meanwhile").wait_for()
        await page.locator(".banner").wait_for(state="detached")


async def test_a_page_whose_session_has_ended_asks_for_the_token_again(bus: Bus, browser: Any, tmp_path: Path) -> None:
    await publish(bus, make_topology("allowed"), make_topology(ref=Ref("test", "pod", "secret", "vault")))
    tokens_file = tmp_path / "tokens"
    tokens_file.write_text(f"{Token('shop', digest_of('right'), namespaces=('shop',))}\n")
    async with (
        serving(bus, tokens_file=tokens_file) as gateway,
        page_at(browser, gateway.server.address, allowed=("401", "Password forms")) as page,
    ):
        await page.get_by_role("textbox", name="Token").fill("right")
        await page.keyboard.press("Enter")
        await page.locator(".table .row", has_text="allowed").wait_for()
        assert "secret" not in await names(page)
        await page.context.clear_cookies()
        await page.locator(".table .row", has_text="allowed").click()
        await page.get_by_role("dialog").wait_for()
        assert await violations(page) == []
        other = page.get_by_role("link", name="Other ways to log in")
        assert await other.get_attribute("href") == "login", "people who log in at a provider have no token"
        await page.get_by_role("textbox", name="Token").fill("right")
        await page.keyboard.press("Enter")
        await page.get_by_role("dialog").wait_for(state="detached")
        assert "right" not in page.url


async def test_every_view_says_that_the_pipeline_is_not_well(bus: Bus, gateway: Running, browser: Any) -> None:
    await publish(bus, make_topology("observed"))
    mark = ".views-nav .pipeline-mark"
    for view in ("table", "space"):
        async with page_at(browser, f"{gateway.server.address}/#view={view}", allowed=("GPU stall",)) as page:
            await eventually(lambda: _says(page, mark, "Critical: no collector reports"))
            await page.locator(f"{mark} .mark.critical").wait_for(state="visible")
            note = gateway.gateway.connections.note_pipeline
            await eventually(partial(_shows_noted, page, mark, "", partial(note, "healthy", "all is well")))
            await eventually(
                partial(_shows_noted, page, mark, "Warning: one is late", partial(note, "warning", "one is late"))
            )
            assert await violations(page) == []


async def _shows_noted(page: Any, selector: str, text: str, note: Callable[[], None]) -> bool:
    """It is noted at each try: the gateway judges the pipeline meanwhile."""
    note()
    return await _says(page, selector, text) if text else await page.locator(selector).count() == 0


async def test_the_pipeline_has_a_page_of_its_own(bus: Bus, gateway: Running, browser: Any) -> None:
    await publish(bus, make_topology("built"))
    async with page_at(browser, f"{gateway.server.address}/#view=pipeline") as page:
        await eventually(lambda: _says(page, ".pipeline", "Findings", "topology-builder"))
        assert await page.locator(".filters, .search").count() == 0, "they would do nothing here"
        assert await violations(page) == []
        assert await page.locator(".banner").count() == 0
    async with page_at(browser, f"{gateway.server.address}/#view=pipeline&at=2026-01-01T00:00:00Z") as page:
        await eventually(lambda: _says(page, ".banner", "This page shows the pipeline as it is now"))
        assert await text_of(page, ".freshness") != "Past"


async def _shows(page: Any, expected: list[str]) -> bool:
    return await names(page) == expected


async def _says(page: Any, selector: str, *texts: str) -> bool:
    """At once: what is asked for may go while it is asked for."""
    found: str = await page.evaluate("(selector) => document.querySelector(selector)?.innerText ?? ''", selector)
    return all(text in found for text in texts)
