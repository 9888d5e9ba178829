"""A browser logs in with a token, as its requests look."""

from pathlib import Path

import httpx
import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.tokens import Token, digest_of
from support.gateway import ENTITIES, Running, serving
from support.state import make_topology, publish
from support.waiting import eventually

FORM = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate"}


def written(file: Path, *names: str) -> Path:
    file.write_text("".join(f"{Token(name, digest_of(name), namespaces=(name,))}\n" for name in names))
    return file


async def log_in(browser: httpx.AsyncClient, token: str, **headers: str) -> httpx.Response:
    return await browser.post("/login", data={"token": token}, headers={**FORM, **headers})


async def test_a_browser_that_logged_in_sees_what_its_token_may(bus: Bus, tmp_path: Path) -> None:
    await publish(bus, make_topology("cart"))
    async with serving(bus, tokens_file=written(tmp_path / "tokens", "shop", "bank")) as gateway:
        browser = gateway.client
        start = await browser.get("/", headers={"sec-fetch-mode": "navigate"})
        assert (start.status_code, start.headers["location"]) == (303, "login")
        form = await browser.get("/login")
        assert form.status_code == 200
        assert "<script" not in form.text
        assert "style=" not in form.text
        origin = str(browser.base_url).rstrip("/")
        done = await log_in(browser, "shop", origin=origin)
        assert (done.status_code, done.headers["location"]) == (303, "./")
        assert done.headers["set-cookie"] == "kgents=shop; HttpOnly; SameSite=Lax; Path=/"
        assert (await browser.get("/")).status_code in (200, 503)  # it may not be built here
        assert (await gateway.get("/api/v1/entities"))["count"] == 1
        async with browser.stream("GET", ENTITIES) as stream:
            assert stream.status_code == 200
        await log_in(browser, "bank", origin=origin)
        assert (await gateway.get("/api/v1/entities"))["count"] == 0

        assert (await browser.post("/logout", headers=FORM)).headers["location"] == "login"
        assert (await browser.get("/api/v1/entities")).status_code == 401


async def test_over_tls_the_cookie_is_sent_over_tls_alone(bus: Bus, tmp_path: Path) -> None:
    async with serving(bus, tokens_file=written(tmp_path / "tokens", "shop"), allowed_hosts=["see.example"]) as gateway:
        headers = {"host": "see.example", "origin": "https://see.example"}
        done = await log_in(gateway.client, "shop", **headers)
        assert done.headers["set-cookie"] == "__Host-kgents=shop; HttpOnly; SameSite=Lax; Path=/; Secure"
        cookie = {"host": "see.example", "cookie": "other=1; __Host-kgents=shop"}
        assert (await gateway.client.get("/api/v1/health", headers=cookie)).status_code == 200


@pytest.mark.parametrize("token", ["", "shop2", "shop;x", "shop\r\nset-cookie: a=b", "x" * 5_000, "é"])
async def test_a_token_that_is_not_accepted_leaves_no_cookie(token: str, bus: Bus, tmp_path: Path) -> None:
    file = written(tmp_path / "tokens", "shop")
    async with serving(bus, tokens_file=file) as gateway:
        answer = await log_in(gateway.client, token)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "not accepted" in answer.text
        assert (await gateway.client.get("/")).status_code == 303


async def test_a_page_of_another_site_can_neither_log_in_nor_use_the_cookie(bus: Bus, tmp_path: Path) -> None:
    async with serving(bus, tokens_file=written(tmp_path / "tokens", "shop")) as gateway:
        for headers in (
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
            {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"},
            {"origin": "https://evil.example"},
            {"origin": "null"},
        ):
            for path in ("/login", "/logout", "/mcp"):
                answer = await gateway.client.post(path, data={"token": "shop"}, headers=headers)
                assert answer.status_code == 403, (path, headers)
                assert "set-cookie" not in answer.headers


async def test_a_withdrawn_token_ends_what_was_logged_in_with_it(bus: Bus, tmp_path: Path) -> None:
    file = written(tmp_path / "tokens", "shop", "bank")
    async with serving(bus, tokens_file=file) as gateway:
        await log_in(gateway.client, "shop")
        assert (await gateway.client.get("/api/v1/health")).status_code == 200
        written(file, "bank")

        async def is_over() -> bool:
            return (await gateway.client.get("/api/v1/health")).status_code == 401

        await eventually(is_over)


async def test_without_tokens_there_is_nothing_to_log_in_to(gateway: Running) -> None:
    assert (await gateway.client.get("/login")).status_code == 404
    assert (await gateway.client.get("/")).status_code in (200, 503)
