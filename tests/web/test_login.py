"""A person logs in with a token, in a real browser: the form, the cookie, the live view, and the end of it."""

from pathlib import Path
from typing import Any

from kgents_shared.bus.client import Bus
from kgents_shared.contract.tokens import Token, digest_of
from support.browser import names, page_at, violations
from support.build import make_ref
from support.gateway import serving
from support.state import make_topology, publish
from support.waiting import eventually


async def test_a_person_logs_in_and_sees_what_the_token_may(bus: Bus, browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{Token('team', digest_of('kgents_team'), namespaces=('shop',))}\n")
    await publish(bus, make_topology("cart"), make_topology(ref=make_ref("vault", namespace="bank")))
    async with (
        serving(bus, tokens_file=file) as gateway,
        page_at(browser, gateway.server.address, allowed=("401",)) as page,
    ):
        assert page.url.endswith("/login")
        assert await violations(page) == []
        await page.fill("input[name=token]", "kgents_other")
        await page.click("text=Log in")
        await page.locator("main", has_text="not accepted").wait_for()
        await page.fill("input[name=token]", "kgents_team")
        await page.click("text=Log in")

        async def shows() -> bool:
            return await names(page) == ["cart"]

        await eventually(shows)
        assert not page.url.endswith("/login")
        [cookie] = await page.context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("kgents", True, "Lax")
        assert await page.evaluate("document.cookie") == ""
        await page.goto(f"{gateway.server.address}/login")
        await page.click("text=Log out")

        async def is_out() -> bool:
            return not await page.context.cookies()

        await eventually(is_out)
