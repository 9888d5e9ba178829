"""What is refused before any question is asked, and what every answer says to a browser."""

import asyncio
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from kgents_gateway.access import connection
from kgents_gateway.access.headers import HEADERS
from kgents_gateway.config import LimitsConfig, StreamConfig
from kgents_shared.bus.client import Bus
from support.gateway import ENTITIES, EVENTS, Running, serving
from support.waiting import eventually, within

HEALTH = "/api/v1/health"


async def exchanged(gateway: Running, request: bytes) -> bytes:
    """All that comes back for some bytes, until the gateway closes the connection."""
    address = urlsplit(gateway.server.address)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(request)
        async with within(20):
            return await reader.read()
    except ConnectionResetError:  # it was closed before it had read everything
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7780", 200),
        ("LOCALHOST", 200),
        ("[::1]:7780", 200),
        ("see.example:443", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:7780", 421),
        ("[::2]", 421),
        ("", 421),
    ],
)
async def test_only_names_of_this_gateway_are_answered(bus: Bus, host: str, status: int) -> None:
    async with serving(bus, allowed_hosts=["See.example"]) as gateway:
        for path in (HEALTH, "/api/openapi.json", "/nothing"):
            response = await gateway.client.get(path, headers={"host": host})
            assert response.status_code == (404 if (path, status) == ("/nothing", 200) else status)
            assert response.headers["content-type"].startswith("application/")


async def test_a_page_of_another_site_makes_a_browser_ask_in_vain(gateway: Running) -> None:
    for site, mode, status in (
        ("cross-site", "no-cors", 403),
        ("cross-site", "cors", 403),
        ("same-site", "cors", 403),
        ("same-origin", "cors", 200),
        ("none", "navigate", 200),
        ("cross-site", "navigate", 200),
    ):
        headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "origin": "https://evil.example"}
        response = await gateway.client.get(HEALTH, headers=headers)
        assert response.status_code == status, (site, mode)
        assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_every_answer_says_what_a_browser_may_do_with_it(gateway: Running) -> None:
    client = gateway.client
    answers = [
        await client.get(HEALTH),
        await client.get("/nothing"),
        await client.post(HEALTH),
        await client.get(HEALTH, headers={"host": "evil.example"}),
        await client.get(HEALTH, params={"unknown": "1"}),
        await client.options(HEALTH, headers={"origin": "https://evil.example"}),
    ]
    async with client.stream("GET", ENTITIES) as stream:
        answers.append(stream)
    for response in answers:
        for name, value in HEADERS:
            assert response.headers.get_list(name) == [value], (response.request.url, name)
    policy = answers[0].headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    refused = await exchanged(gateway, b"no http\r\n\r\n")
    assert b"x-content-type-options: nosniff" in refused


async def test_who_asks_too_much_is_asked_to_wait_and_then_served(bus: Bus) -> None:
    async with serving(bus, limits=LimitsConfig(requests_per_s=1, burst=3)) as gateway:
        async with asyncio.TaskGroup() as tasks:  # at once, whatever one of them takes
            found = [tasks.create_task(gateway.client.get("/nothing")) for _ in range(30)]
        refused = [response for each in found if (response := each.result()).status_code == 429]
        assert refused
        assert refused[0].headers["content-type"] == "application/problem+json"
        assert refused[0].headers["retry-after"] == "1"

        async def is_served() -> bool:
            return (await gateway.client.get(HEALTH)).status_code == 200

        await eventually(is_served)


async def test_an_address_or_headers_that_are_too_long_are_refused(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 3_600)
    response = await gateway.client.get("/api/v1/search", params={"q": "x" * 9_000})
    assert response.status_code == 414
    response = await gateway.client.get(HEALTH, headers={"x-long": "x" * (connection.HEAD_BYTES_MAX + 1)})
    assert response.status_code == 431
    never_ending = b"GET / HTTP/1.1\r\nHost: localhost\r\nx-long: " + b"x" * (8 * connection.HEAD_BYTES_MAX)
    assert (await exchanged(gateway, never_ending))[:13] in (b"", b"HTTP/1.1 400 ")


async def test_a_connection_that_does_not_finish_its_request_is_closed(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.3)
    complete = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert await exchanged(gateway, b"") == b""
    assert await exchanged(gateway, b"GET / HTTP/1.1\r\nHost: local") == b""
    assert (await exchanged(gateway, complete + b"GET / HT")).startswith(b"HTTP/1.1 404 ")


async def test_a_stream_outlives_the_time_that_its_request_had(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.2)
    async with (
        serving(bus, StreamConfig(heartbeat_s=1)) as gateway,
        gateway.client.stream("GET", ENTITIES) as response,
        within(20),
    ):
        received = b""
        async for chunk in response.aiter_bytes():
            received += chunk
            if received.count(b"\n: ") == 2:  # heartbeats are one second apart
                return
    pytest.fail("the stream was ended")


async def test_an_answer_does_not_wait_for_more_to_send(gateway: Running) -> None:
    async with gateway.client.stream("GET", ENTITIES):
        [one] = gateway.server.server_state.connections
        accepted = one.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_every_refusal_is_in_the_document(gateway: Running) -> None:
    paths = (await gateway.get("/api/openapi.json"))["paths"]
    refusals: list[tuple[int, dict[str, Any]]] = [
        (400, {"params": {"colour": "red"}}),
        (403, {"headers": {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}}),
        (414, {"params": {"names": "x" * 9_000}}),
        (421, {"headers": {"host": "evil.example"}}),
    ]
    for path in (HEALTH, ENTITIES, EVENTS):
        for status, request in refusals:
            response = await gateway.client.get(path, **request)
            assert response.status_code == status, response.text
            assert str(status) in paths[path]["get"]["responses"]
