"""People log in at a real OpenID provider: what their groups may see, and everything that is no login of theirs."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from kgents_gateway.access.identity import Session
from kgents_gateway.access.oidc import provider as module
from kgents_gateway.access.oidc.seal import Pending, Seal
from kgents_gateway.config import OidcConfig
from kgents_shared.bus.client import Bus
from support.build import make_ref
from support.decisions import stored
from support.gateway import ENTITIES, Running, SseReader, serving
from support.incidents import make_incident
from support.oidc import OidcProvider, come_back, log_in, logged_in, new_keys
from support.ports import free_port
from support.state import make_topology, publish
from support.waiting import MACHINE, eventually, within

PEOPLE = {
    "ann": ["other", "shop team"],
    "bob": ["sre", "shop team"],
    "eve": ["unknown"],
    "max": [f"/teams/{number}/{'x' * 60}" for number in range(100)],
}
GROUPS = "group:sre\ngroup:shop%20team namespaces=shop\n"


class Site:
    """A provider, and the gateways that use it."""

    def __init__(self, bus: Bus, provider: OidcProvider, folder: Path) -> None:
        self.bus = bus
        self.provider = provider
        self.port = free_port()
        self.file = folder / "tokens"
        self.file.write_text(GROUPS)

    @asynccontextmanager
    async def gateway(self, oidc: OidcConfig | None = None, **settings: Any) -> AsyncIterator[Running]:
        """The one to which the provider sends browsers back, unless it has another port."""
        address = f"http://127.0.0.1:{self.port}"
        given = {"port": self.port, "public_url": address, "oidc": oidc or self.provider.config(), **settings}
        async with serving(self.bus, tokens_file=self.file, **given) as running:
            yield running


@pytest.fixture
async def site(bus: Bus, tmp_path: Path) -> AsyncIterator[Site]:
    await publish(bus, make_topology("cart"), make_topology(ref=make_ref("till", namespace="bank")))
    async with OidcProvider(tmp_path, PEOPLE) as provider:
        site = Site(bus, provider, tmp_path)
        await provider.start(f"http://127.0.0.1:{site.port}/login/callback")
        yield site


@asynccontextmanager
async def browser(gateway: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.server.address, timeout=30) as client:
        yield client


async def count(browser: httpx.AsyncClient) -> int | None:
    """How many entities it sees; None: it is asked to log in."""
    answer = await browser.get("/api/v1/entities")
    return answer.json()["count"] if answer.status_code == 200 else None


async def test_a_person_sees_what_the_first_line_of_their_groups_may(site: Site) -> None:
    async with site.gateway() as gateway, browser(gateway) as ann, browser(gateway) as bob:
        assert '<a href="login/provider">' in (await ann.get("/login")).text
        assert await count(ann) is None
        done = await log_in(ann, "ann")
        assert (done.status_code, done.headers["location"]) == (303, "../")
        cookies = [each for each in done.headers.get_list("set-cookie") if each.startswith("kgents-person=")]
        assert [each.partition("; ")[2] for each in cookies] == ["HttpOnly; SameSite=Lax; Path=/; Max-Age=28800"]
        assert await count(ann) == 1
        await log_in(bob, "bob")
        assert await count(bob) == 2


async def test_any_gateway_goes_on_with_a_login_that_another_one_began(site: Site) -> None:
    async with site.gateway() as first, browser(first) as ann:
        start = await ann.get("/login/provider")
        back = await logged_in(ann, start, "ann")
    async with site.gateway() as again:
        done = await ann_at(again, ann.cookies).get(back)
        assert done.status_code == 303
        kept = done.cookies
    async with site.gateway(port=0) as elsewhere:
        assert await count(ann_at(elsewhere, kept)) == 1


def ann_at(gateway: Running, cookies: httpx.Cookies) -> httpx.AsyncClient:
    client = gateway.client
    client.cookies.update(cookies)
    return client


async def test_who_logs_out_is_out_and_no_other_site_can_do_that(site: Site) -> None:
    async with site.gateway() as gateway, browser(gateway) as ann:
        await log_in(ann, "ann")
        refused = await ann.post("/logout", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"})
        assert (refused.status_code, await count(ann)) == (403, 1)
        await ann.post("/logout", headers={"sec-fetch-site": "same-origin"})
        assert await count(ann) is None


async def test_a_person_decides_about_what_their_group_may_and_is_the_author(site: Site) -> None:
    site.file.write_text("group:sre may=read,alert:write\ngroup:shop%20team namespaces=shop may=read,alert:write\n")
    shop, bank = make_incident("cart", kind="pod"), make_incident(id="b" * 16, ref=make_ref("till", namespace="bank"))
    await stored(site.bus, shop, bank)
    page = {"sec-fetch-site": "same-origin"}
    async with site.gateway() as gateway, browser(gateway) as ann, browser(gateway) as bob:
        await eventually(lambda: len(gateway.gateway.incidents.all()) == 2)
        await log_in(ann, "ann")
        await log_in(bob, "bob")
        for person, name, incident, status in (
            (ann, "ann", shop, 200), (ann, "ann", bank, 404), (bob, "bob", shop, 200), (bob, "bob", bank, 200),
        ):  # fmt: skip
            path = f"/api/v1/incidents/{incident.id}/acknowledgement"
            assert (await person.put(path, json={})).status_code == 403, "only a page decides with a cookie"
            answer = await person.put(path, json={}, headers=page)
            assert answer.status_code == status, (name, incident.id, answer.text)
            if status == 200:
                assert answer.json()["acknowledgement"]["by"] == f"person {name}"
            quiet = f"/api/v1/silences/{incident.cluster}/{name}-{incident.root.ref.namespace}"
            matcher = {"field": "namespace", "value": incident.root.ref.namespace}
            body = {"matchers": [matcher], "duration_s": 60, "reason": "x"}
            answer = await person.put(quiet, json=body, headers=page)
            assert answer.status_code == (200 if status == 200 else 403), (name, incident.id)
        site.file.write_text("group:sre\n")
        path = f"/api/v1/incidents/{shop.id}/acknowledgement"

        async def may_no_longer() -> bool:
            return (await bob.delete(path, headers=page)).status_code == 403

        await eventually(may_no_longer)


async def test_who_logs_out_here_is_led_to_where_that_is_done_at_the_provider(site: Site) -> None:
    async with site.gateway() as gateway, browser(gateway) as ann:
        await log_in(ann, "ann")
        done = await ann.post("/logout", headers={"sec-fetch-site": "same-origin"})
        assert (done.status_code, await count(ann)) == (200, None)
        assert '<a href="login/end">' in done.text
        led = await ann.get("/login/end")
        assert led.status_code == 303
        asked = await ann.get(led.headers["location"])
        assert asked.status_code == 200, asked.text
        assert "Do you want to sign-out" in asked.text, "the provider asks, and takes this client for known"


async def test_a_person_of_no_group_in_the_file_gets_no_cookie(site: Site) -> None:
    async with site.gateway() as gateway, browser(gateway) as eve:
        done = await log_in(eve, "eve")
        assert done.status_code == 403
        assert "none of your groups may read" in done.text
        assert "set-cookie" not in done.headers
        assert await count(eve) is None


async def test_an_answer_that_this_browser_did_not_ask_for_is_no_login(site: Site) -> None:
    async with site.gateway() as gateway, browser(gateway) as ann, browser(gateway) as victim:
        back = await come_back(ann, "ann")
        await victim.get("/login/provider")
        for stranger in (victim, gateway.client):
            assert (await stranger.get(back)).status_code == 502
            assert await count(stranger) is None
        changed = httpx.URL(back)
        for params in ({"iss": "http://127.0.0.1:1"}, {"state": "x"}, {"code": "x"}, {"error": "access_denied"}):
            assert (await ann.get(changed.copy_merge_params(params))).status_code == 502, params
        assert (await ann.get(changed.copy_remove_param("iss"))).status_code == 502
        assert await count(ann) is None
        assert (await ann.get(back)).status_code == 303
        assert (await ann.get(back)).status_code == 502, "the login that it had begun is over"
        assert await count(ann) == 1
        ann.cookies.clear()
        await ann.get("/login/provider")
        assert (await ann.get(back)).status_code == 502, "a code is used once"


async def test_a_login_that_has_taken_too_long_and_a_session_that_is_over_are_none(site: Site) -> None:
    seal = Seal(site.provider.config().client_secret.reveal())
    async with site.gateway() as gateway, browser(gateway) as ann, browser(gateway) as bob:
        back = await come_back(ann, "ann")
        pending = seal.opened(ann.cookies["kgents-login"], Pending)
        assert pending is not None
        now_s = int(time.time())
        ann.cookies.clear()
        ann.cookies.set("kgents-login", seal.sealed(msgspec.structs.replace(pending, until=now_s)))
        assert (await ann.get(back)).status_code == 502
        bob.cookies.set("kgents-person", seal.sealed(Session("bob", ("sre",), now_s - 1)))
        assert await count(bob) is None
        bob.cookies.clear()
        bob.cookies.set("kgents-person", seal.sealed(Session("bob", ("sre",), int(time.time()) + 3)))
        async with bob.stream("GET", ENTITIES) as stream:
            assert stream.status_code == 200
            await eventually(lambda: len(gateway.gateway.connections) == 0)
        assert await count(bob) is None


async def test_a_person_of_many_groups_has_a_cookie_that_a_browser_keeps(site: Site) -> None:
    site.file.write_text("".join(f"group:{each}\n" for each in PEOPLE["max"]))
    async with site.gateway() as gateway, browser(gateway) as max_:
        await log_in(max_, "max")
        assert await count(max_) == 2
        assert len(max_.cookies["kgents-person"]) < 4_096 - len("kgents-person=")


async def test_a_cookie_of_another_kind_or_another_secret_is_none(site: Site) -> None:
    async with site.gateway() as gateway, browser(gateway) as ann:
        await ann.get("/login/provider")
        pending = ann.cookies["kgents-login"]
        for value in (pending, "x", "a.b.c", pending[:-2] + "AA", "é", "x" * 5_000):
            headers = {b"cookie": f"kgents-person={value}".encode("latin-1")}
            answer = await gateway.client.get("/api/v1/entities", headers=headers)
            assert answer.status_code == 401, value


async def test_keys_that_the_provider_changed_are_known_at_the_next_login(site: Site) -> None:
    async with site.gateway() as gateway, browser(gateway) as ann, browser(gateway) as bob:
        await log_in(ann, "ann")
        site.provider.keys = new_keys("second")
        await site.provider.start(f"http://127.0.0.1:{site.port}/login/callback")
        await log_in(bob, "bob")
        assert (await count(ann), await count(bob)) == (1, 2)


async def test_groups_that_are_not_in_the_id_token_are_asked_for(site: Site, tmp_path: Path) -> None:
    async with OidcProvider(tmp_path, PEOPLE, is_in_token=False) as provider:
        await provider.start(f"http://127.0.0.1:{site.port}/login/callback")
        async with site.gateway(provider.config()) as gateway, browser(gateway) as ann:
            assert (await log_in(ann, "ann")).status_code == 303
            assert await count(ann) == 1


async def test_a_provider_that_is_away_or_hangs_is_said_within_a_deadline_and_stops_nothing_else(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALL_S", MACHINE.limit_s(0.5))
    async with site.gateway() as gateway, browser(gateway) as ann, browser(gateway) as bob:
        await log_in(ann, "ann")
        back = await come_back(bob, "bob")
        site.provider.pause()
        async with within(5):
            for path in ("/login/provider", back):
                answer = await bob.get(path)
                assert (answer.status_code, "set-cookie" in answer.headers) == (502, False)
        assert await count(ann) == 1
        site.provider.kill()
        assert (await bob.get("/login/provider")).status_code == 502


async def test_a_group_that_is_withdrawn_ends_what_its_people_have_open(site: Site) -> None:
    async with site.gateway() as gateway, browser(gateway) as ann, browser(gateway) as bob:
        await log_in(ann, "ann")
        await log_in(bob, "bob")
        reader = SseReader()
        async with ann.stream("GET", ENTITIES) as stream:
            assert stream.status_code == 200
            site.file.write_text("group:sre\n")
            await eventually(lambda: len(gateway.gateway.connections) == 0)
        assert reader.events == []
        assert (await count(ann), await count(bob)) == (None, 2)


async def test_over_tls_its_cookies_are_sent_over_tls_alone(site: Site) -> None:
    async with site.gateway(public_url="https://see.example/kgents") as gateway:
        start = await gateway.client.get("/login/provider", headers={"host": "see.example"})
        assert "redirect_uri=https%3A%2F%2Fsee.example%2Fkgents%2Flogin%2Fcallback" in start.headers["location"]
        assert "code_challenge_method=S256" in start.headers["location"]
        assert start.headers["set-cookie"].startswith("__Host-kgents-login=")
        assert "; Secure" in start.headers["set-cookie"]
