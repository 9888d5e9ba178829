"""One JSON-RPC message of the Model Context Protocol → its answer. Nothing is remembered between two of them.

Two generations of the protocol are spoken: until 2025-11-25 a client begins with `initialize`, and since 2026-07-28
each request says for itself which version it speaks, in its body and in headers.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from kgents_gateway.asking import Asked
from kgents_gateway.mcp.tools import TOOLS, call, listed

WITH_HANDSHAKE: Final = ("2025-03-26", "2025-06-18", "2025-11-25")
WITHOUT_HANDSHAKE: Final = ("2026-07-28",)
VERSIONS: Final = (*WITH_HANDSHAKE, *WITHOUT_HANDSHAKE)
"""Those of streamable HTTP."""
ASSUMED: Final = WITH_HANDSHAKE[0]
"""The version of a client that names none, as the protocol has it."""

VERSION_HEADER: Final = "mcp-protocol-version"
METHOD_HEADER: Final = "mcp-method"
NAME_HEADER: Final = "mcp-name"

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022

INSTRUCTIONS: Final = (
    "A running system: its entities (pods, services, databases, …), how they are connected, how well they are and why, "
    "alerts, events and figures, now and in the past. Begin with `health`, or with `search` for a name; an entity's "
    "`id` is the `entity_id` of other tools. Everything is read-only."
)
TOOLS_TTL_MS: Final = 3_600_000
"""The tools are those of this version of the gateway."""

_META: Final = "io.modelcontextprotocol/"
_BASE64: Final = re.compile(r"=\?base64\?([A-Za-z0-9+/=]*)\?=")


class Message(msgspec.Struct, frozen=True):
    """A request, or a notification, which has no id."""

    jsonrpc: Literal["2.0"]
    method: str
    id: int | str | UnsetType = UNSET
    params: dict[str, Any] = {}


class ProtocolError(Exception):
    """A message that cannot be answered otherwise."""

    def __init__(self, code: int, text: str, data: Any = UNSET) -> None:
        """`code` as in JSON-RPC and the protocol."""
        super().__init__(text)
        self.code: Final = code
        self.data: Final = data

    @property
    def status(self) -> int:
        """Of the HTTP response."""
        return 404 if self.code == METHOD_NOT_FOUND else 400


def decoded(body: bytes) -> Message:
    """One message.

    Raises:
        ProtocolError: it is none.
    """
    try:
        return msgspec.json.decode(body, type=Message)
    except msgspec.ValidationError:
        raise ProtocolError(INVALID_REQUEST, "expected one JSON-RPC request or notification") from None
    except (msgspec.DecodeError, RecursionError):
        raise ProtocolError(PARSE_ERROR, "expected JSON") from None


async def result_of(gateway: Asked, version: str, message: Message, headers: Mapping[str, str]) -> dict[str, Any]:
    """The result of a request.

    Raises:
        ProtocolError: there is none.
    """
    named = headers.get(VERSION_HEADER)
    about = message.params.get("_meta")
    if named in WITHOUT_HANDSHAKE or (isinstance(about, dict) and f"{_META}protocolVersion" in about):
        _check_request(message, headers)
        return await _without_handshake(gateway, version, message)
    check_version(named)
    return await _with_handshake(gateway, version, message)


def check_version(named: str | None) -> None:
    """Whether a version is spoken here.

    Raises:
        ProtocolError: it is not.
    """
    if (named or ASSUMED) not in VERSIONS:
        data = {"supported": VERSIONS, "requested": named}
        raise ProtocolError(UNSUPPORTED_VERSION, f"expected one of the versions {', '.join(VERSIONS)}", data)


def _check_request(message: Message, headers: Mapping[str, str]) -> None:
    """Whether a request that speaks for itself is complete, and its headers say the same as its body."""
    about = message.params.get("_meta")
    required = (f"{_META}protocolVersion", f"{_META}clientCapabilities")
    if not isinstance(about, dict) or not all(key in about for key in required):
        raise ProtocolError(INVALID_PARAMS, f"expected {' and '.join(required)} in params._meta")
    said = {VERSION_HEADER: about[required[0]], METHOD_HEADER: message.method}
    if message.method == "tools/call":
        said[NAME_HEADER] = message.params.get("name")
    for name, value in said.items():
        if _plain(headers.get(name, "")) != value:
            raise ProtocolError(HEADER_MISMATCH, f"expected the header {name} to say what the body does")
    check_version(about[required[0]])


def _plain(value: str) -> str | None:
    """A header's value as it was before it was made safe for a header; None: it is not valid."""
    if (found := _BASE64.fullmatch(value)) is None:
        return value
    try:
        return base64.b64decode(found[1], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


async def _with_handshake(gateway: Asked, version: str, message: Message) -> dict[str, Any]:
    match message.method:
        case "initialize":
            wanted = message.params.get("protocolVersion")
            return {
                "protocolVersion": wanted if wanted in WITH_HANDSHAKE else WITH_HANDSHAKE[-1],
                "capabilities": {"tools": {}},
                "serverInfo": _server(version),
                "instructions": INSTRUCTIONS,
            }
        case "ping":
            return {}
        case _:
            return await _tools(gateway, message)


async def _without_handshake(gateway: Asked, version: str, message: Message) -> dict[str, Any]:
    kept = {"ttlMs": TOOLS_TTL_MS, "cacheScope": "public"}
    about = {"resultType": "complete", "_meta": {f"{_META}serverInfo": _server(version)}}
    match message.method:
        case "server/discover":
            found = {"supportedVersions": VERSIONS, "capabilities": {"tools": {}}, "instructions": INSTRUCTIONS}
            return found | kept | about
        case "tools/list":
            return await _tools(gateway, message) | kept | about
        case _:
            return await _tools(gateway, message) | about


async def _tools(gateway: Asked, message: Message) -> dict[str, Any]:
    match message.method:
        case "tools/list":
            return {"tools": listed()}
        case "tools/call":
            name, given = message.params.get("name"), message.params.get("arguments") or {}
            if not isinstance(name, str) or name not in TOOLS:
                raise ProtocolError(INVALID_PARAMS, f"expected one of the tools {', '.join(TOOLS)}")
            if not isinstance(given, dict):
                raise ProtocolError(INVALID_PARAMS, "expected arguments as an object")
            return await call(gateway, name, given)
        case _:
            raise ProtocolError(METHOD_NOT_FOUND, "expected server/discover, tools/list or tools/call")


def _server(version: str) -> dict[str, str]:
    return {"name": "kgents", "title": "kgents gateway", "version": version}
