"""Incidents in the web view, in a real browser against a real gateway: read, live, decided about."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest_asyncio

from kgents_shared.bus.client import Bus
from kgents_shared.bus.word import last_word
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.codec import ACK, SILENCE
from kgents_shared.contract.incident import Acknowledged, Affected, Decided, Incident, IncidentReason, Moment
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.silence import Matcher
from kgents_shared.contract.subjects import build
from kgents_shared.contract.tokens import Token, digest_of
from support.audit import trail
from support.browser import page_at, violations
from support.build import NOW, make_ref
from support.decisions import make_silence, stored
from support.gateway import Running, caught_up, serving
from support.incidents import make_incident
from support.state import make_health, make_topology, publish
from support.waiting import eventually

POD: Final = make_ref("cart-7f")
DATABASE: Final = make_ref("orders-database-primary", kind="database")
TITLE: Final = "orders-database-primary accepts no connections"
ID: Final = make_incident().id
SILENCED: Final = Decided(action="silence", by="bob", via="slack", reason="database upgrade", silence="quiet")
# What has the focus at the moment the form is there: a key that is pressed then goes to it.
RECORD_FOCUS: Final = """() => {
  window.focused = [];
  new MutationObserver((_, observer) => {
    if (document.querySelector("form.silence") === null) return;
    window.focused.push(document.activeElement.tagName);
    observer.disconnect();
  }).observe(document.body, {childList: true, subtree: true});
}"""


def incident(**fields: Any) -> Incident:
    """A database that takes a pod with it."""
    found = {
        "ref": DATABASE, "title": TITLE, "revision": 2, "affected_count": 2,
        "affected": [Affected(ref=each, severity="critical", checks=["KG-310"]) for each in (DATABASE, POD)],
        "affected_by_kind": {"database": 1, "pod": 1},
        "reasons": [IncidentReason(text="100 of 100 connections are used", ref=DATABASE, check="KG-310")],
        "timeline": [
            Moment(at=NOW, text=f"{TITLE}."),
            Moment(at=NOW, text="Now critical."),
            Moment(at=NOW, text="Silenced by bob.", decided=SILENCED),
        ],
    }  # fmt: skip
    return make_incident(**{**found, **fields})


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def shop(bus: Bus, gateway: Running) -> None:
    for ref in (POD, DATABASE):
        await publish(bus, make_topology(ref=ref), make_health(ref=ref, level="critical"))
    of: dict[str, Any] = {"cluster": POD.cluster, "incident": ID, "text": "-"}
    await stored(
        bus,
        incident(),
        Notice(receiver="ops-chat", delivered=2, delivered_state="open", delivered_at=NOW, **of),
        Notice(receiver="pager", failure="timeout", **of),
        make_incident("mild", id="a" * 16, severity="warning", title="a mild one"),
    )
    await caught_up(bus, gateway)
    await eventually(lambda: len(gateway.gateway.incidents.all()) == 2)


async def acknowledgement(bus: Bus) -> Acknowledgement | None:
    return (await last_word(await bus.session(), ACK, build("ack", cluster=POD.cluster, incident=ID)))[0]


async def has(page: Any, selector: str, text: str) -> None:
    """Wait until an element with this text is in sight."""
    await page.locator(selector, has_text=text).first.wait_for(state="visible")


async def test_incidents_are_listed_read_and_lead_to_what_is_affected(gateway: Running, browser: Any) -> None:
    async with page_at(browser, gateway.server.address) as page:
        await page.get_by_role("tab", name="Incidents (2)").click()
        await has(page, ".incidents .incident", TITLE)
        assert (await page.locator(".incidents .title").all_inner_texts()) == [TITLE, "a mild one"]
        assert await violations(page) == []
        await page.locator(".incidents .incident", has_text=TITLE).click()
        await has(page, ".details .reasons", "100 of 100 connections are used")
        await has(page, ".details .history", "Now critical.")
        await has(page, ".details .decided", "bob (slack): silenced database upgrade")
        await has(page, ".receivers", "ops-chat knows it as open")
        await has(page, ".receivers", "The last request failed: timeout.")
        assert f"incident={ID}" in page.url
        address = page.url
        await page.locator(".affected").get_by_role("button", name=POD.name).click()
        await has(page, ".table .row[aria-selected=true]", POD.name)
        await has(page, ".details h2", TITLE)
    async with page_at(browser, address) as page:
        await has(page, ".details h2", TITLE)


async def test_an_incident_is_acknowledged_and_that_is_taken_back(bus: Bus, gateway: Running, browser: Any) -> None:
    async with page_at(browser, f"{gateway.server.address}/#tab=incidents&incident={ID}") as page:
        await page.get_by_role("button", name="Acknowledge").click()
        await has(page, ".decisions [role=status]", "Stored")
        found = await acknowledgement(bus)
        assert found is not None
        assert (found.by, found.via, found.revision) == ("address 127.0.0.1", "web", 2)
        taken = Acknowledged(by=found.by, at=found.at, via="web")
        await stored(bus, incident(state="acknowledged", acknowledged=taken, revision=3))
        await has(page, ".details .title", "address 127.0.0.1 takes care of it")
        await page.get_by_role("button", name="No longer take care").click()
        await has(page, ".decisions [role=status]", "no one takes care")
        found = await acknowledgement(bus)
        assert found is not None
        assert found.is_removal
        of = ("web", "address 127.0.0.1", f"incident {ID}", "done")
        assert await trail(bus, f"incident {ID}") == [("acknowledge", *of), ("unacknowledge", *of)]
        await stored(bus, incident(revision=4))
        await page.get_by_role("button", name="Acknowledge").wait_for()


async def test_an_incident_is_silenced_with_a_reason_by_keyboard_and_the_silence_ended(
    bus: Bus, gateway: Running, browser: Any
) -> None:
    async with page_at(browser, f"{gateway.server.address}/#tab=incidents&incident={ID}") as page:
        await page.get_by_role("button", name="Silence…").focus()
        await page.evaluate(RECORD_FOCUS)
        await page.keyboard.press("Enter")
        await page.get_by_label("Reason").wait_for()
        assert await page.evaluate("window.focused") == ["INPUT"], "the first letter is not typed into the button"
        await page.keyboard.type("database upgrade")
        await page.locator("form.silence select").select_option("14400")
        assert await violations(page) == []
        await page.get_by_label("Reason").press("Enter")
        await has(page, ".decisions [role=status]", "Stored")
        await eventually(gateway.gateway.incidents.silences)
        [found] = gateway.gateway.incidents.silences()
        assert (found.reason, found.via, found.matchers) == (
            "database upgrade", "web", [Matcher(field="incident", value=ID)],
        )  # fmt: skip
        assert (found.ends_at - found.starts_at).total_seconds() == 14_400
        await stored(bus, incident(silenced_by=[found.id], revision=5))
        await has(page, ".decisions", "Silenced by address 127.0.0.1")
        await page.get_by_role("button", name="End the silence").click()
        await eventually(lambda: not gateway.gateway.incidents.silences())
        subject = build("silence", cluster=POD.cluster, silence=found.id)
        ended, _ = await last_word(await bus.session(), SILENCE, subject)
        assert ended is not None
        assert ended.is_removal
        of = ("web", "address 127.0.0.1", f"silence {found.id}", "done")
        assert await trail(bus, f"silence {found.id}") == [("silence", *of), ("unsilence", *of)]
        await stored(bus, incident(revision=6))


async def test_a_change_shows_by_itself_and_a_new_one_is_said(bus: Bus, gateway: Running, browser: Any) -> None:
    async with page_at(browser, f"{gateway.server.address}/#tab=incidents") as page:
        await has(page, ".incidents", "a mild one")
        late = make_incident("late", id="b" * 16, title="a late one")
        await stored(bus, late)
        await has(page, ".incidents", "a late one")
        await eventually(lambda: _says(page, "New incident: a late one"))
        await page.get_by_role("tab", name="Incidents (3)").wait_for()
        await stored(bus, make_incident("late", id="b" * 16, op="remove"))
        await page.locator(".incident", has_text="a late one").wait_for(state="detached")


async def test_a_moment_of_the_past_has_its_own_incidents(bus: Bus, gateway: Running, browser: Any) -> None:
    then = datetime.now(UTC) + timedelta(milliseconds=20)
    await eventually(lambda: datetime.now(UTC) > then)
    mild = {"severity": "warning", "id": "a" * 16}
    await stored(bus, make_incident("mild", title="it became worse", **mild))
    at = then.isoformat().replace("+00:00", "Z")
    async with page_at(browser, f"{gateway.server.address}/#tab=incidents&at={at}") as page:
        await has(page, ".incidents .title", "a mild one")
        assert await page.locator(".incidents .title", has_text="worse").count() == 0
        assert await violations(page) == []
        await page.locator(".incidents .incident", has_text=TITLE).click()
        await has(page, ".details .history", "Now critical.")
        await has(page, ".details", "is not kept")
        assert await page.locator(".decisions, .receivers li").count() == 0, "nothing is decided about the past"
        await page.get_by_role("button", name="Back to now").click()
        await page.get_by_role("tab", name="Incidents (2)").click()
        await page.get_by_role("button", name="All incidents").click()
        await has(page, ".incidents .title", "it became worse")
    await stored(bus, make_incident("mild", title="a mild one", **mild))


async def _says(page: Any, text: str) -> bool:
    return text in await page.locator("[role=status]").all_inner_texts()


async def test_who_may_only_read_is_offered_nothing_and_a_refusal_is_shown(
    bus: Bus, browser: Any, tmp_path: Path
) -> None:
    file = tmp_path / "tokens"
    deciding = Token("ada", digest_of("ada"), may=("read", "alert:write"))
    file.write_text(f"{Token('reader', digest_of('reader'))}\n{deciding}\n")
    planned = make_silence("quiet", cluster=POD.cluster, purpose="maintenance")
    await stored(bus, planned, incident(silenced_by=["quiet"], revision=7))
    async with serving(bus, tokens_file=file) as gateway:
        await caught_up(bus, gateway)
        for token in ("reader", "ada"):
            cookie = {"name": "kgents", "value": token, "url": gateway.server.address}
            address = f"{gateway.server.address}/login"
            async with page_at(browser, address, allowed=("ERR_INTERNET_DISCONNECTED",)) as page:
                await page.context.add_cookies([cookie])
                await page.goto(f"{gateway.server.address}/#tab=incidents&incident={ID}")
                await has(page, ".decisions", "Planned maintenance, by ada")
                is_offered = token == "ada"
                if is_offered:
                    await page.get_by_role("button", name="Acknowledge").wait_for()
                else:
                    await has(page, ".receivers", "ops-chat")
                assert await page.locator(".decisions button").count() == (3 if is_offered else 0)
                if is_offered:
                    await page.context.set_offline(True)
                    await page.get_by_role("button", name="Acknowledge").click()
                    await has(page, ".decisions [role=alert]", "Not stored: the gateway cannot be reached")
                    await page.context.set_offline(False)
                    await page.get_by_role("button", name="Acknowledge").click()
                    await has(page, ".decisions [role=status]", "Stored")
    await stored(bus, incident(revision=8), make_silence("quiet", cluster=POD.cluster, op="remove"))
