"""A short way through nats-py for very many messages: bytes of the socket → plain function, message → bytes.

nats-py keeps a queue and a task for each subscription and a regular expression for each line. Connecting, logging in,
pings and errors stay with it, and so does every subscription that did not ask for the short way. What this module
takes from nats-py is in REQUIRED; with a nats-py that lacks any of it, everything goes nats-py's way, only slower.
`tests/property/test_direct.py` compares both.
"""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.protocol.parser import Parser

from kgents_shared.bus.logger import get_logger

Receiver = Callable[[str, str, bytes, dict[str, str] | None], None]
"""Takes subject, reply, payload and headers of a message. The whole connection waits for it."""

REQUIRED: Final[tuple[tuple[type, str, tuple[str, ...]], ...]] = (
    (Parser, "parse", ("self", "data")),
    (Parser, "reset", ("self",)),
    (Client, "_process_msg", ("self", "sid", "subject", "reply", "data", "headers")),
    (Client, "_process_headers", ("self", "headers")),
)
"""What is called or replaced here, and its parameters."""
REQUIRED_ATTRIBUTES: Final = (
    *("_ps", "_subs", "_error_cb", "_flush_queue", "_flusher_task", "_transport", "_max_payload"),
    *("_pending", "_pending_data_size", "_max_pending_size"),
)
"""What is read or replaced of a client."""

HEADERS_MAX_BYTES: Final = 4096
"""More than any headers of ours: a payload that leaves so much below max_payload needs no exact count."""

_log = get_logger(__name__)
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9-]+")
_HEADERS_BEGIN_TEXT: Final = "NATS/1.0\r\n"
_HEADERS_BEGIN: Final = _HEADERS_BEGIN_TEXT.encode()
_BLANKS: Final = " \t\n\r\x0b\x0c"  # what nats-py strips from the bytes of a value: Unicode has more
_LAYOUTS: Final = {b"MSG": 4, b"HMSG": 5}
"""First word of a line before a message → its words; a reply subject is one more."""


def missing(client: Client) -> list[str]:
    """What this nats-py lacks of what is required; empty where the short way is supported."""
    methods = [
        name
        for type_, name, parameters in REQUIRED
        if not hasattr(type_, name) or tuple(inspect.signature(getattr(type_, name)).parameters) != parameters
    ]
    return methods + [name for name in REQUIRED_ATTRIBUTES if not hasattr(client, name)]


@lru_cache(maxsize=64)
def _is_plain(name: str) -> bool:
    """Whether the name of a header is certainly legal; nats-py judges the others."""
    return _HEADER_NAME.fullmatch(name) is not None


def _block(headers: dict[str, str]) -> str | None:
    """What is sent of headers that are certainly legal; None where nats-py is to judge."""
    block = _HEADERS_BEGIN_TEXT
    for name, value in headers.items():
        line = value.strip()
        if "\n" in line or "\r" in line or not _is_plain(name):
            return None
        block += f"{name}: {line}\r\n"
    return f"{block}\r\n"


def _plain_headers(block: bytes) -> dict[str, str] | None:
    """The headers of a block without a status in which all is certainly legal; None where nats-py is to judge."""
    if not block.startswith(_HEADERS_BEGIN):
        return None
    headers = {}
    try:
        lines = block[len(_HEADERS_BEGIN) : -4 if block.endswith(b"\r\n\r\n") else None].decode().split("\r\n")
    except UnicodeDecodeError:
        return None
    for line in lines:
        if line:
            name, colon, value = line.partition(":")
            if not colon or not _is_plain(name):
                return None
            headers[name] = value.strip(_BLANKS)
    return headers or None


class DirectClient(Client):
    """nats-py's client with the short way beside its own."""

    def __init__(self) -> None:
        super().__init__()
        self.receivers: dict[bytes, Receiver] = {}
        """Number of a subscription → what takes its messages, from the first one on."""
        self._reports: set[asyncio.Future[None]] = set()  # of what receivers raised, on their way
        self._attached: asyncio.StreamReader | None = None  # whose bytes come without nats-py's task
        lacking = missing(self)
        self._is_direct = not lacking
        if self._is_direct:
            self._ps = DirectParser(self)
        else:
            _log.warning("short_way_unsupported", missing=", ".join(lacking))

    async def receive(self, subject: str, receiver: Receiver) -> Callable[[], Awaitable[None]]:
        """Hand every message on the subject to the receiver, in order; returns what ends it."""
        self._attach()
        route = _Route(receiver)
        subscription = await self.subscribe(subject, cb=route.on_message, pending_msgs_limit=-1, pending_bytes_limit=-1)

        async def unsubscribe() -> None:
            try:
                await subscription.unsubscribe()
            finally:
                self.receivers.pop(route.number, None)  # last: a message that comes meanwhile finds it in nats-py

        return unsubscribe

    def _attach(self) -> None:
        """Take what the socket gives in the turn in which it comes, not in nats-py's task; not that of a WebSocket."""
        reader = getattr(self._transport, "_io_reader", None)
        if not isinstance(self._ps, DirectParser) or reader is None or self._attached is reader:
            return
        self._attached, take, feed = reader, self._ps.take, reader.feed_data

        def on_data(data: bytes) -> None:
            if reader._buffer:  # noqa: SLF001 - what came before, which nats-py has still to read
                feed(data)
            elif rest := take(data):
                feed(rest)
            else:
                self.after_reading(len(data))

        reader.feed_data = on_data

    async def send(self, subject: str, payload: bytes, reply: str, headers: dict[str, str] | None) -> None:
        """The same as `publish`, for a payload that fits and a subject that is legal."""
        if not self.post(subject, payload, reply, headers):
            await self.publish(subject, payload, reply=reply, headers=headers)

    def post(self, subject: str, payload: bytes, reply: str, headers: dict[str, str] | None) -> bool:
        """Send at once what can be sent without waiting and certainly fits; returns whether it was."""
        flusher, flushes = self._flusher_task, self._flush_queue
        if not self._is_direct or flusher is None or flusher.done() or flushes is None or not self.is_connected:
            return False
        if len(payload) + HEADERS_MAX_BYTES > self._max_payload:
            return False
        if not headers:
            head = f"PUB {subject} {reply} {len(payload)}\r\n"
        elif block := _block(headers):
            size = len(block) if block.isascii() else len(block.encode())
            head = f"HPUB {subject} {reply} {size} {size + len(payload)}\r\n{block}"
        else:
            return False
        command = b"".join((head.encode(), payload, b"\r\n"))
        if 0 < self._max_pending_size < self._pending_data_size + len(command):  # nats-py waits until these are sent
            return False
        self._pending.append(command)
        self._pending_data_size += len(command)
        if flushes.empty():
            flushes.put_nowait(asyncio.Future())
        return True

    def after_reading(self, size: int) -> None:
        """What the socket gave, of this size in bytes, is dealt with."""

    async def deliver(self, number: bytes, subject: bytes, reply: bytes, payload: bytes, head: bytes | None) -> None:
        """Take from the parser a message of the subscription with this number, in whatever form."""
        receiver = self.receivers.get(number) or self._find_receiver(number)
        if receiver is None:
            await self._process_msg(int(number), subject, reply, payload, head)  # type: ignore[arg-type]  # or None
            return
        headers = None
        if head is not None and (headers := _plain_headers(head)) is None:
            headers = await self._process_headers(head)
        try:
            receiver(subject.decode(), reply.decode(), payload, headers)
        except Exception as error:  # noqa: BLE001 - as nats-py does with an error of a callback: the next message comes
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """A receiver raised this."""
        report = asyncio.ensure_future(self._error_cb(error))
        self._reports.add(report)
        report.add_done_callback(self._reports.discard)

    def _find_receiver(self, number: bytes) -> Receiver | None:
        route = getattr(getattr(self._subs.get(int(number)), "_cb", None), "__self__", None)
        if not isinstance(route, _Route):
            return None
        route.number = number
        self.receivers[number] = route.receiver
        return route.receiver


class _Route:
    """Where the messages of one subscription go, for nats-py's way and for the short one."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.number = b""  # of the subscription; empty until its first message comes the short way

    async def on_message(self, message: Msg) -> None:
        self.receiver(message.subject, message.reply, message.data, message.headers)


class DirectParser(Parser):
    """nats-py's parser for all lines but MSG and HMSG."""

    def __init__(self, client: DirectClient) -> None:
        super().__init__(client)
        self._client = client

    def reset(self) -> None:
        super().reset()
        self._chunks: list[bytes] = []  # of a message, or of a line, that is not complete
        self._size = 0
        self._needed = 0  # bytes that complete what begins in `_chunks`
        self._is_parsing = False

    def take(self, data: bytes) -> bytes:
        """Hand over what the socket gave, up to what is not for a receiver; returns from there on, for `parse`."""
        if self._is_parsing:
            return data
        buffer = self._joined(data)
        if not buffer:
            return b""
        position = self._hand_over(buffer, 0)
        if self._needed or position == len(buffer):
            self._keep(buffer, position)
            return b""
        self._keep(b"", 0)
        return buffer[position:]

    async def parse(self, data: bytes = b"") -> None:
        """Take what the socket gave; what is not complete waits for more.

        Raises:
            ProtocolError: it is no message of NATS.
        """
        self._is_parsing = True  # nothing is taken at once any more if it is none
        if buffer := self._joined(data):
            self._keep(buffer, await self._parse_all(buffer))
        self._is_parsing = False
        self._client.after_reading(len(data))

    def _joined(self, data: bytes) -> bytes:
        """What was not complete, with what came now; nothing while a message still is not: it is joined once."""
        self._chunks.append(data)
        self._size += len(data)
        if self._size < self._needed:
            return b""
        return data if len(self._chunks) == 1 else b"".join(self._chunks)

    def _keep(self, buffer: bytes, position: int) -> None:
        """Keep what is not complete, from a position on."""
        rest = buffer[position:]
        self._chunks, self._size = ([rest], len(rest)) if rest else ([], 0)

    async def _parse_all(self, buffer: bytes) -> int:
        """Take what is complete; returns where the rest begins, of which `_needed` bytes complete a message."""
        position, size = 0, len(buffer)
        while (position := self._hand_over(buffer, position)) < size and not self._needed:
            line_end = buffer.index(b"\r\n", position)
            start = line_end + 2
            words = buffer[position:line_end].split()
            layout = _LAYOUTS.get(words[0]) if words else None
            if layout is None or len(words) - layout not in (0, 1) or not _is_sized(words, layout):
                await super().parse(buffer[position:start])
                position = start
                continue
            end = start + int(words[-1])
            if end + 2 > size:
                self._needed = end + 2 - position
                break
            position = end + 2
            reply = words[3] if len(words) > layout else b""
            head = None
            if layout == 5 and (head_bytes := int(words[-2])):
                head = buffer[start : start + head_bytes]
                start += head_bytes
            await self._client.deliver(words[2], words[1], reply, buffer[start:end], head)
        return position

    def _hand_over(self, buffer: bytes, position: int) -> int:
        """Hand messages to receivers for as long as all is as it mostly is; returns where something else begins.

        If that is a line or a message that is not complete, `_needed` says how many bytes complete it, or more of it.
        """
        receivers, find, size = self._client.receivers, buffer.find, len(buffer)
        self._needed = 0
        while position < size:
            if (line_end := find(b"\r\n", position)) < 0:
                self._needed = size - position + 1
                break
            words = buffer[position:line_end].split()
            count = len(words)
            receiver = receivers.get(words[2]) if count > 3 else None
            if receiver is None:
                break
            body = start = line_end + 2
            headers = None
            if words[0] == b"MSG" and count < 6:
                reply = words[3] if count == 5 else b""
            elif words[0] == b"HMSG" and 4 < count < 7 and (head_bytes := _size(words[-2])) > 0:
                body += head_bytes
                reply = words[3] if count == 6 else b""
            else:
                break
            end = start + _size(words[-1])
            if end < body:
                break
            if end + 2 > size:
                self._needed = end + 2 - position
                break
            if body > start and (headers := _plain_headers(buffer[start:body])) is None:
                break
            position = end + 2
            try:
                receiver(words[1].decode(), reply.decode(), buffer[body:end], headers)
            except Exception as error:  # noqa: BLE001 - as nats-py does with an error of a callback: the next message comes
                self._client.fail(error)
        return position


@lru_cache(maxsize=4_096)
def _size(word: bytes) -> int:
    """The number of bytes that a line states; -1: it is no number."""
    return int(word) if word.isdigit() else -1


def _is_sized(words: list[bytes], layout: int) -> bool:
    """Whether numbers are where they belong; else nats-py says what is wrong with the line."""
    return words[2].isdigit() and words[-1].isdigit() and (layout == 4 or words[-2].isdigit())
