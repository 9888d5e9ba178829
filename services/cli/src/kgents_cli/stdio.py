"""MCP over stdin and stdout, a message a line ↔ a gateway's `/mcp`, a request each. Nothing is remembered."""

import base64
import http.client
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

import msgspec

from kgents_shared.contract.address import of_url
from kgents_shared.contract.errors import KgentsError

MESSAGE_BYTES_MAX: Final = 65_536
"""Of a client; a gateway takes no larger ones."""
AT_ONCE: Final = 8
"""Requests; further lines are not read meanwhile."""
ANSWER_S: Final = 30.0
"""A gateway itself gives up earlier."""

_META: Final = "io.modelcontextprotocol/protocolVersion"
_INTERNAL_ERROR: Final = -32603
_ACCEPTED: Final = 202


class _Message(msgspec.Struct):
    """What the headers repeat, and what an error is answered with."""

    method: Any = None
    id: Any = None
    params: Any = None


class _Answer(msgspec.Struct):
    """An answer of the protocol."""

    jsonrpc: str


class _Problem(msgspec.Struct):
    """The body of a refusal."""

    detail: str


class Gateway:
    """A gateway by its address."""

    def __init__(self, url: str, token: str) -> None:
        """`token`: empty if none is needed.

        Raises:
            ValueError: the url is none of a gateway.
        """
        parts, address = urlsplit(url), of_url(url)
        if parts.scheme not in ("http", "https") or not address.host or parts.username is not None or parts.query:
            # It is not shown: it may hold a password.
            raise ValueError("expected an address such as http://127.0.0.1:7780, without user and query")
        self.url: Final = url
        self._address, self._path = address, f"{parts.path.rstrip('/')}/mcp"
        self._connection = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._authorization = {"authorization": f"Bearer {token}"} if token else {}

    def answer(self, line: bytes) -> bytes:
        """The answer to one message as a line; empty: it wants none."""
        message = _decoded(line)
        if len(line) > MESSAGE_BYTES_MAX:
            return _error(message, f"expected a message of at most {MESSAGE_BYTES_MAX} bytes, found a larger one")
        try:
            return self._posted(line, _headers(message))
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return _error(message, f"expected a gateway at {self.url}, found: {why}; try: kgents up")
        except KgentsError as error:
            return _error(message, str(error))

    def _posted(self, line: bytes, headers: dict[str, str]) -> bytes:
        connection = self._connection(*self._address, timeout=ANSWER_S)
        try:
            connection.request("POST", self._path, line, headers | self._authorization)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.status == _ACCEPTED:
            return b""
        try:
            msgspec.json.decode(body, type=_Answer)
        except msgspec.DecodeError:
            raise KgentsError(f"the gateway at {self.url} answered {response.status}: {_detail(body)}") from None
        return body.replace(b"\n", b" ")  # in JSON it stands between tokens only


def relay(gateway: Gateway, lines: BinaryIO, answers: BinaryIO) -> None:
    """Answer every line until there are no more. Answers come as they are ready, which is what their ids are for."""
    room, writing = threading.Semaphore(AT_ONCE), threading.Lock()

    def handle(line: bytes) -> None:
        try:
            if answer := gateway.answer(line):
                with writing:
                    answers.write(answer + b"\n")
                    answers.flush()
        finally:
            room.release()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for line in _bounded(lines.readline):
            if line.strip():
                room.acquire()
                pool.submit(handle, line.strip())


def _bounded(read: Callable[[int], bytes]) -> Any:
    """Each line; of one that is too long a part that is too long as well."""
    while line := read(MESSAGE_BYTES_MAX + 2):
        rest = line
        while not rest.endswith(b"\n") and (rest := read(MESSAGE_BYTES_MAX)):
            continue
        yield line


def _decoded(line: bytes) -> _Message:
    """What can be read of a message: the gateway says what is wrong with it."""
    try:
        return msgspec.json.decode(line, type=_Message)
    except (msgspec.DecodeError, RecursionError):
        return _Message()


def _headers(message: _Message) -> dict[str, str]:
    """As the protocol has them, for a message that says which version it speaks."""
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    params = message.params if isinstance(message.params, dict) else {}
    about = params.get("_meta")
    if not isinstance(about, dict) or _META not in about:
        return headers
    named = {"mcp-protocol-version": about[_META], "mcp-method": message.method, "mcp-name": params.get("name")}
    return headers | {name: _safe(value) for name, value in named.items() if isinstance(value, str)}


def _safe(value: str) -> str:
    """A text as the value of a header."""
    if value.isascii() and value.isprintable() and value == value.strip() and not value.startswith("=?"):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def _detail(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Problem).detail
    except msgspec.DecodeError:
        return "something that is no MCP"


def _error(message: _Message, text: str) -> bytes:
    """The answer to a message that could not be passed on; empty for one that wants none."""
    if message.method is not None and message.id is None:
        return b""
    return msgspec.json.encode(
        {"jsonrpc": "2.0", "id": message.id, "error": {"code": _INTERNAL_ERROR, "message": text}}
    )
