"""The built web view as it is served, and what is said where there is none."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from kgents_gateway.http import pages
from support.gateway import Running

SCRIPT = "console.log('kgents');" * 100


@asynccontextmanager
async def served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """Only the pages, from a folder."""
    found = pages.Pages(folder)
    app = Starlette(routes=[Route("/", found.index), Route("/assets/{name}", found.asset)])
    monkeypatch.setattr(pages, "WHY_MISSING", folder.with_suffix(".txt"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


def build(folder: Path, title: str = "kgents") -> None:
    (folder / "assets").mkdir(parents=True, exist_ok=True)
    (folder / "assets/index-1a2b.js").write_text(SCRIPT)
    (folder / "index.html").write_text(f"<title>{title}</title>")


async def test_what_is_missing_is_said_until_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "web"
    async with served(folder, monkeypatch) as client:
        missing = await client.get("/")
        assert missing.status_code == 503
        assert "make web" in missing.text
        assert missing.headers["refresh"]
        (tmp_path / "web.txt").write_text("It failed: no <network>")
        assert "no &lt;network&gt;" in (await client.get("/")).text
        assert (await client.get("/assets/index-1a2b.js")).status_code == 404
        build(folder)
        assert (await client.get("/")).text == "<title>kgents</title>"
        assert (await client.get("/assets/index-1a2b.js")).text == SCRIPT
        assert (await client.get("/assets/..%2findex.html")).status_code == 404


async def test_a_page_is_asked_for_again_and_its_parts_never(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "web"
    build(folder)
    async with served(folder, monkeypatch) as client:
        page = await client.get("/")
        assert page.headers["cache-control"] == "no-cache"
        tag = {"if-none-match": page.headers["etag"]}
        assert (await client.get("/", headers=tag)).status_code == 304
        part = await client.get("/assets/index-1a2b.js", headers={"accept-encoding": "zstd"})
        assert part.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert part.headers["content-type"] == "text/javascript; charset=utf-8"
        assert part.headers["content-encoding"] == "zstd"
        raw = await client.get("/assets/index-1a2b.js", headers={"accept-encoding": "identity"})
        assert raw.text == SCRIPT
        build(folder, "another")
        assert (await client.get("/", headers=tag)).text == "<title>another</title>"


async def test_clients_that_come_while_the_pages_are_read_wait_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "web"
    build(folder)
    async with served(folder, monkeypatch) as client, asyncio.TaskGroup() as tasks:
        found = [tasks.create_task(client.get("/")) for _ in range(5)]
        found += [tasks.create_task(client.get("/assets/index-1a2b.js")) for _ in range(5)]
    assert {each.result().status_code for each in found} == {200}


async def test_the_page_may_run_and_load_only_what_the_gateway_serves(gateway: Running) -> None:
    response = await gateway.client.get("/")
    policy = dict(part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=", response.text)
    assert (await gateway.client.post("/")).status_code == 405
