"""No door opens without a token, and a token that changes is another one from then on."""

import asyncio
from pathlib import Path
from typing import Final

import httpx
import pytest

from kgents_gateway.config import LimitsConfig
from kgents_gateway.http.routes import ACKNOWLEDGEMENT, IDENTITY, SILENCE
from kgents_gateway.http.routes import QUESTIONS as ROUTES
from kgents_shared.bus.client import Bus
from kgents_shared.contract.tokens import Token, digest_of
from support.gateway import ENTITIES, EVENTS, Running, SseReader, serving
from support.scopes import BASE, bearer, cookie, following, places_in, write
from support.waiting import eventually

DOORS: Final = (
    *(("GET", path.replace("{entity_id}", "east.pod.shop.a").replace("{incident_id}", "a")) for path, _ in ROUTES),
    ("PUT", ACKNOWLEDGEMENT.replace("{incident_id}", "a")),
    ("DELETE", ACKNOWLEDGEMENT.replace("{incident_id}", "a")),
    ("PUT", SILENCE.replace("{cluster}", "east").replace("{silence_id}", "quiet")),
    ("DELETE", SILENCE.replace("{cluster}", "east").replace("{silence_id}", "quiet")),
    ("GET", IDENTITY),
    ("GET", ENTITIES),
    ("GET", EVENTS),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/nothing"),
    ("POST", "/mcp"),
)


async def test_no_door_opens_without_a_token_that_may_read(guarded: Running) -> None:
    for method, path in DOORS:
        for headers, status in (
            ({}, 401),
            (bearer("unknown"), 401),
            ({"authorization": "Bearer"}, 401),
            (bearer(digest_of("all")), 401),
            ({"authorization": "Basic YWxsOg=="}, 401),
            ({"authorization": "all"}, 401),
            (bearer("x" * 10_000), 401),
            (bearer("writer"), 403),
            (cookie("unknown"), 401),
            (cookie(digest_of("all")), 401),
            (cookie("writer"), 403),
            ({"cookie": "kgents-person=all"}, 401),
            ({**bearer("unknown"), **cookie("all")}, 401),
        ):
            response = await guarded.client.request(method, path, headers=headers)
            assert response.status_code == status, (method, path, headers)
            assert ("www-authenticate" in response.headers) == (status == 401)
            assert response.headers["content-type"] == "application/problem+json"
        assert (await guarded.client.request(method, path, params={"token": "all"})).status_code == 401


async def test_a_withdrawn_token_ends_its_streams_and_no_other(guarded: Running, tmp_path: Path) -> None:
    async with following(guarded, bearer("all"), ENTITIES), following(guarded, bearer("shop"), EVENTS):
        reader = SseReader()
        async with httpx.AsyncClient(base_url=guarded.server.address, headers=bearer("east"), timeout=30) as client:
            reading = asyncio.create_task(reader.run(client, ENTITIES))
            await eventually(lambda: reader.is_ready)
            assert len(guarded.gateway.connections) == 3
            write(tmp_path / "tokens", [each for each in BASE if each.name != "east"])
            with pytest.raises(httpx.RemoteProtocolError):
                await reading
            assert (await client.get("/api/v1/health")).status_code == 401
        assert len(guarded.gateway.connections) == 2
        assert (await guarded.client.get("/api/v1/health", headers=bearer("all"))).status_code == 200


async def test_a_scope_that_is_narrowed_ends_the_streams_of_the_wide_one(guarded: Running, tmp_path: Path) -> None:
    async with httpx.AsyncClient(base_url=guarded.server.address, headers=bearer("all"), timeout=30) as client:
        reader = SseReader()
        reading = asyncio.create_task(reader.run(client, ENTITIES))
        await eventually(lambda: reader.is_ready)
        write(tmp_path / "tokens", [Token("all", digest_of("all"), ("east",), ("shop",))])
        with pytest.raises(httpx.RemoteProtocolError):
            await reading
    async with following(guarded, bearer("all"), ENTITIES, last_id=reader.last_id) as again:
        assert places_in(" ".join(again.state)) == {"eastshop"}
        assert again.data("hello")[0]["mode"] == "snapshot"


async def test_a_new_token_is_accepted_and_an_old_one_refused_without_a_restart(
    guarded: Running, tmp_path: Path
) -> None:
    file = tmp_path / "tokens"

    async def status(name: str) -> int:
        return (await guarded.client.get("/api/v1/health", headers=bearer(name))).status_code

    async def is_accepted() -> bool:
        return await status("new") == 200

    async def is_refused() -> bool:
        return await status("all") == 401

    write(file, [*BASE, Token("new", digest_of("new"))])
    await eventually(is_accepted)
    async with following(guarded, bearer("new"), ENTITIES):
        write(file, [Token("new", digest_of("new"))])
        await eventually(is_refused)
        assert await status("new") == 200


async def test_one_token_may_not_open_all_streams(bus: Bus, tmp_path: Path) -> None:
    limits = LimitsConfig(streams=2)
    async with serving(bus, tokens_file=write(tmp_path / "tokens"), limits=limits) as gateway:
        async with following(gateway, bearer("all"), ENTITIES), following(gateway, bearer("all"), EVENTS):
            response = await gateway.client.get(ENTITIES, headers=bearer("all"))
            assert (response.status_code, response.headers["retry-after"]) == (429, "30")
            async with following(gateway, bearer("east"), ENTITIES):
                assert len(gateway.gateway.connections) == 3
        async with following(gateway, bearer("all"), ENTITIES):
            pass
