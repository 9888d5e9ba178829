"""The gateway to the client library of the Model Context Protocol, and to messages that no library sends."""

import json
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from mcp import Client, MCPError
from mcp_types import CallToolResult, TextContent

from kgents_gateway.mcp.messages import ASSUMED, VERSIONS, WITH_HANDSHAKE
from kgents_gateway.mcp.tools import ANSWER_BYTES_MAX, TOOLS
from kgents_gateway.questions import QUESTIONS
from kgents_shared.bus.client import Bus
from kgents_shared.view.entity import key_of_ref
from support.build import make_ref
from support.decisions import stored
from support.gateway import Running, caught_up
from support.incidents import make_incident
from support.state import make_health, make_topology, publish
from support.waiting import eventually

MODES = ("auto", "legacy")
HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
META = {
    "io.modelcontextprotocol/protocolVersion": VERSIONS[-1],
    "io.modelcontextprotocol/clientCapabilities": {},
}


def text_of(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("mode", MODES)
async def test_the_client_library_finds_and_calls_every_tool(mode: Any, bus: Bus, gateway: Running) -> None:
    await publish(bus, make_topology("cart"), make_health("cart", level="critical"))
    pod = key_of_ref(make_ref("cart"))
    await stored(bus, make_incident())
    await caught_up(bus, gateway)
    await eventually(gateway.gateway.incidents.all)
    async with Client(f"{gateway.server.address}/mcp", mode=mode) as client:
        assert client.protocol_version == (VERSIONS[-1] if mode == "auto" else WITH_HANDSHAKE[-1])
        listed = (await client.list_tools()).tools
        assert [each.name for each in listed] == [name.replace(".", "_") for name in QUESTIONS]
        for each in listed:
            Draft202012Validator.check_schema(each.input_schema)
            assert each.input_schema["type"] == "object"
        assert all(each.annotations is not None and each.annotations.read_only_hint for each in listed)
        given = {"entity_id": pod, "source": pod, "target": pod, "q": "cart", "since": "-1s"}
        given["incident_id"] = make_incident().id
        for tool in listed:
            needed = {name: given[name] for name in tool.input_schema.get("required", ())}
            result = await client.call_tool(tool.name, needed)
            assert not result.is_error, text_of(result)
            json.loads(text_of(result))
        health = json.loads(text_of(await client.call_tool("entity_health", {"entity_id": pod})))
        assert health == await gateway.get(f"/api/v1/entities/{pod}/health")


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_wrong_with_a_call_is_a_result_that_says_so(mode: Any, gateway: Running) -> None:
    async with Client(f"{gateway.server.address}/mcp", mode=mode) as client:
        for name, arguments, expected in (
            ("topology", {"limit": "many"}, "Bad request: limit: expected `int`"),
            ("topology", {"sort": "up"}, "found 'sort'"),
            ("entity", {"entity_id": "a.b.c.d"}, "Not found: expected the id of an entity"),
        ):
            result = await client.call_tool(name, arguments)
            assert result.is_error
            assert expected in text_of(result)
        with pytest.raises(MCPError, match="expected one of the tools topology"):
            await client.call_tool("delete", {})


async def test_an_answer_is_cut_to_what_a_model_can_read_and_names_the_rest(bus: Bus, gateway: Running) -> None:
    await publish(bus, *(make_topology(f"p-{number:03}", labels={"x": "y" * 1_000}) for number in range(200)))
    await caught_up(bus, gateway)
    async with Client(f"{gateway.server.address}/mcp") as client:
        found, after = 0, ""
        while found < 200:
            text = text_of(await client.call_tool("topology", {"after_id": after}))
            assert len(text.encode()) <= ANSWER_BYTES_MAX
            page = json.loads(text)
            found, after = found + len(page["entities"]), page["next"]
        assert (found, after) == (200, "")


async def post(gateway: Running, body: object, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await gateway.client.post("/mcp", content=content, headers={**HEADERS, **named})


def request(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}


async def test_no_page_of_another_site_and_no_form_gets_an_answer(gateway: Running) -> None:
    listing = request("tools/list")
    assert (await post(gateway, listing, origin="https://evil.example")).status_code == 403
    for origin in ("null", "", "http://[", "https://127.0.0.1.evil.example"):
        assert (await post(gateway, listing, origin=origin)).status_code == 403, origin
    assert (await post(gateway, listing, host="evil.example")).status_code == 421
    assert (await post(gateway, listing, content_type="text/plain")).status_code == 415
    assert (await post(gateway, listing, accept="text/event-stream")).status_code == 406
    assert (await post(gateway, b" " * 70_000)).status_code == 413
    for origin in (gateway.server.address, "http://[::1]:8080"):
        assert (await post(gateway, listing, origin=origin)).status_code == 200, origin
    for method in ("GET", "DELETE"):
        assert (await gateway.client.request(method, "/mcp")).status_code == 405


async def test_a_client_of_any_version_is_answered_in_its_own(gateway: Running) -> None:
    for wanted, expected in ((WITH_HANDSHAKE[0], WITH_HANDSHAKE[0]), ("2024-11-05", WITH_HANDSHAKE[-1])):
        answer = await post(gateway, request("initialize", protocolVersion=wanted, capabilities={}))
        assert answer.json()["result"]["protocolVersion"] == expected
        assert "mcp-session-id" not in answer.headers
    assert (await post(gateway, {"jsonrpc": "2.0", "method": "notifications/initialized"})).status_code == 202
    assert (await post(gateway, request("ping"), mcp_protocol_version=ASSUMED)).json()["result"] == {}
    unknown = await post(gateway, request("tools/list"), mcp_protocol_version="1999-01-01")
    assert unknown.status_code == 400
    assert unknown.json()["error"]["code"] == -32022
    assert unknown.json()["error"]["data"] == {"supported": list(VERSIONS), "requested": "1999-01-01"}


async def test_a_request_that_speaks_for_itself_agrees_with_its_headers(gateway: Running) -> None:
    said = {"mcp_protocol_version": VERSIONS[-1]}
    found = await post(gateway, request("server/discover", _meta=META), **said, mcp_method="server/discover")
    assert found.json()["result"]["supportedVersions"] == list(VERSIONS)
    assert found.json()["result"]["resultType"] == "complete"
    call = request("tools/call", name="health", arguments={}, _meta=META)
    assert (await post(gateway, call, **said, mcp_method="tools/call", mcp_name="health")).status_code == 200
    encoded = await post(gateway, call, **said, mcp_method="tools/call", mcp_name="=?base64?aGVhbHRo?=")
    assert encoded.status_code == 200
    for body, headers, code in (
        (call, {**said, "mcp_method": "tools/call", "mcp_name": "alerts"}, -32020),
        (call, {**said, "mcp_method": "tools/call", "mcp_name": "=?base64?!?="}, -32020),
        (call, {**said, "mcp_method": "tools/call"}, -32020),
        (call, {**said, "mcp_method": "tools/list", "mcp_name": "health"}, -32020),
        (call, {"mcp_method": "tools/call", "mcp_name": "health"}, -32020),
        (request("tools/list"), {**said, "mcp_method": "tools/list"}, -32602),
    ):
        refused = await post(gateway, body, **headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, code), headers
        assert refused.json()["id"] == 7


async def test_what_is_no_message_is_refused_as_json_rpc_has_it(gateway: Running) -> None:
    for body, status, code in (
        (b"{", 400, -32700),
        ([request("ping")], 400, -32600),
        ({**request("ping"), "id": None}, 400, -32600),
        ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + b"[" * 20_000, 400, -32700),
        (request("resources/list"), 404, -32601),
        (request("tools/call", name=["topology"]), 400, -32602),
        (request("tools/call", name="topology", arguments=[1]), 400, -32602),
    ):
        answer = await post(gateway, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), body
    assert TOOLS.keys() == {name.replace(".", "_") for name in QUESTIONS}
