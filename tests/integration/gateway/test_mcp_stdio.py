"""`kgents mcp` to the client library of the protocol, and to lines that no library sends."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import TextContent

from kgents_gateway.mcp.messages import VERSIONS, WITH_HANDSHAKE
from kgents_gateway.mcp.tools import TOOLS
from kgents_shared.bus.client import Bus
from kgents_shared.view.entity import key_of_ref
from support.gateway import Running, caught_up
from support.ports import free_port
from support.process import spawn_async
from support.scopes import places_in, pod
from support.state import make_health, make_topology, publish
from support.waiting import within

PROGRAM = str(Path(sys.executable).with_name("kgents"))
PIPE = asyncio.subprocess.PIPE


def parameters(url: str, *more: str) -> StdioServerParameters:
    return StdioServerParameters(command=PROGRAM, args=["mcp", "--gateway", url, *more])


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_client_library_gets_the_tools_of_the_gateway(mode: Any, bus: Bus, gateway: Running) -> None:
    await publish(bus, make_topology("cart"), make_health("cart", level="critical"))
    await caught_up(bus, gateway)
    async with Client(parameters(gateway.server.address), mode=mode) as client:
        assert client.protocol_version == (VERSIONS[-1] if mode == "auto" else WITH_HANDSHAKE[-1])
        assert [each.name for each in (await client.list_tools()).tools] == list(TOOLS)
        result = await client.call_tool("search", {"q": "cart"})
        [content] = result.content
        assert isinstance(content, TextContent)
        over_http = await gateway.get("/api/v1/search", q="cart")
        assert {**json.loads(content.text), "at": ""} == {**over_http, "at": ""}
        assert (await client.call_tool("entity", {"entity_id": "ä.b"})).is_error
        with pytest.raises(MCPError, match="expected one of the tools"):
            await client.call_tool("löschen", {})


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await spawn_async(PROGRAM, "mcp", *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_every_line_with_an_id_is_answered_before_the_end(gateway: Running) -> None:
    ping = b'{"jsonrpc":"2.0","id":%d,"method":"ping"}\n'
    lines = [ping % number for number in range(40)]
    odd = [
        b"{\n",
        b"\n",
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n',
        b'{"jsonrpc":"2.0","id":"long","method":"ping","params":{"a":"' + b"x" * 200_000 + b'"}}\n',
        b'{"jsonrpc":"2.0","id":"no end","method":"ping"}',
    ]
    async with started("--gateway", f"{gateway.server.address}/") as process, within(30):
        out, err = await process.communicate(b"".join((*lines, *odd)))
    assert (process.returncode, err) == (0, b"")
    answers = [json.loads(line) for line in out.splitlines()]
    assert {each["id"] for each in answers if "result" in each} == {*range(40), "no end"}
    refused = [each["error"]["message"] for each in answers if "error" in each]
    assert sorted(refused) == ["expected JSON", "expected a message of at most 65536 bytes, found a larger one"]


async def test_a_token_is_shown_its_scope_alone(guarded: Running, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("east-shop\n")
    async with Client(parameters(guarded.server.address, "--token-file", str(token)), mode="auto") as client:
        for tool in ("topology", "alerts", "events", "incidents", "metrics_last", "silences"):
            result = await client.call_tool(tool, {})
            assert not result.is_error, tool
            assert places_in(str(result.content)) == {"eastshop"}, tool
        for tool, arguments in (("cost", {}), ("pipeline", {}), ("entity", {"entity_id": key_of_ref(pod("westbank"))})):
            assert (await client.call_tool(tool, arguments)).is_error, tool


async def test_a_gateway_that_is_not_there_is_an_error_with_the_way_out() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    lines = b'{"jsonrpc":"2.0","method":"notifications/cancelled"}\n{"jsonrpc":"2.0","id":"a","method":"ping"}\n'
    async with started("--gateway", url) as process, within(30):
        out, _ = await process.communicate(lines)
    [answer] = map(json.loads, out.splitlines())
    expected = f"expected a gateway at {url}, found: Connection refused; try: kgents up"
    assert (answer["id"], answer["error"]["message"]) == ("a", expected)


async def test_what_is_no_gateway_is_named(gateway: Running) -> None:
    line = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
    async with started("--gateway", f"{gateway.server.address}/other") as process, within(30):
        out, _ = await process.communicate(line)
    assert "answered 404: no such path" in json.loads(out)["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--gateway", "127.0.0.1:7780"], 2, "expected an address such as http://127.0.0.1:7780"),
        (["--gateway", "http://me:pw@host"], 2, "expected an address"),
        (["--gateway", "http://host:port"], 2, "--gateway: "),
        (["--gateway", "http://[::1"], 2, "--gateway: "),
        (["--token-file", "/nowhere/token"], 1, "expected a token in /nowhere/token, found: No such file"),
    ],
)
async def test_arguments_that_cannot_be_used_are_refused(arguments: list[str], code: int, said: str) -> None:
    async with started(*arguments) as process, within(30):
        out, err = await process.communicate(b"")
    assert (process.returncode, out) == (code, b"")
    assert said in err.decode()
    assert "pw" not in err.decode()


async def test_the_token_of_a_file_goes_with_every_request(tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        body = b'{"jsonrpc":"2.0",\n"id":1,"result":{}}'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    token = tmp_path / "token"
    token.write_text("kgt_abc\n")
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with started("--gateway", url, "--token-file", str(token)) as process, within(30):
            out, err = await process.communicate(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
    assert (json.loads(out), err) == ({"jsonrpc": "2.0", "id": 1, "result": {}}, b"")
    assert out.count(b"\n") == 1
    assert b"authorization: Bearer kgt_abc\r\n" in seen[0]
