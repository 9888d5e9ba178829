"""The short way through nats-py gives what nats-py gives: whatever the server sends, however the socket cuts it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.errors import BadHeaderError, ProtocolError
from nats.protocol.parser import Parser

from kgents_shared.bus import direct
from kgents_shared.bus.direct import DirectClient, DirectParser, Receiver

DIRECT = (1, 12)
"""Numbers of subscriptions that ask for the short way."""
NUMBERS = (1, 2, 12, 123)
EVERYWHERE = list(range(2_000))
"""Places that cut the first part of a stream into single bytes."""

subjects = st.sampled_from(("a", "kgents.entity.c.k8s.pod._.x=2Ey", "_INBOX_b.x1.77", "MSG", "ü"))
numbers = st.sampled_from(NUMBERS)
replies = st.sampled_from(("", "$JS.ACK.S.c.1.2.3.4.5", "r"))
payloads = st.one_of(st.binary(max_size=40), st.sampled_from((b"\r\n", b"MSG a 1 2\r\n", b"PING\r\n", b"x" * 5_000)))
header_lines = st.lists(
    st.sampled_from(
        (
            b"Nats-Expected-Last-Subject-Sequence: 17",
            b"a:b",
            b"T: \xc3\xbc",
            b"Bad Name: x",
            b"nothing",
            b"a: again",
            b"U: \xff",
            b"V:\xc2\xa0x \t",
            b" W : x",
            b"\xc3\xbc: x",
            b": x",
            b"X:",
            b"nl: a\nb: c",
        )
    ),
    max_size=3,
)
statuses = st.sampled_from((b"", b"", b" 100 Idle Heartbeat", b" 408 Request Timeout", b" 503", b" 409"))


def line(*words: object) -> bytes:
    return " ".join(map(str, words)).encode() + b"\r\n"


def plain_message(subject: str, number: int, reply: str, payload: bytes) -> bytes:
    return line("MSG", subject, number, *filter(None, [reply]), len(payload)) + payload + b"\r\n"


def message_with_headers(
    subject: str, number: int, reply: str, payload: bytes, status: bytes, headers: list[bytes]
) -> bytes:
    block = b"NATS/1.0" + status + b"\r\n" + b"".join(header + b"\r\n" for header in headers) + b"\r\n"
    sizes = (len(block), len(block) + len(payload))
    return line("HMSG", subject, number, *filter(None, [reply]), *sizes) + block + payload + b"\r\n"


operations = st.one_of(
    st.builds(plain_message, subjects, numbers, replies, payloads),
    st.builds(message_with_headers, subjects, numbers, replies, payloads, statuses, header_lines),
    st.sampled_from((b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'Permissions Violation for Publish to \"x\"'\r\n")),
    st.integers(0, 6_000).map(lambda size: b'INFO {"server_name":"' + b"n" * size + b'"}\r\n'),
)
endings = st.sampled_from(
    (
        b"",
        b"HELLO\r\n",
        b"MSG a x 1\r\nx\r\n",
        b"MSG a 1\r\n",
        b"MSG a 1 1",
        b"MSG a 1 r s 1\r\nx\r\n",
        b"HMSG a 1 5\r\n",
        b"HMSG a 1 x 5\r\n",
    )
)


class _Recorded:
    """What a client was given, instead of acting on it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Any] = []

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        decoded = await self._process_headers(headers)  # type: ignore[attr-defined]
        self.found.append((sid, subject.decode(), reply.decode(), data, decoded))

    async def _process_err(self, text: str) -> None:
        self.found.append(text)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        self.found.append(info)

    async def _process_ping(self) -> None:
        self.found.append("ping")

    async def _process_pong(self) -> None:
        self.found.append("pong")


class _Plain(_Recorded, Client):
    pass


class _Direct(_Recorded, DirectClient):
    pass


async def given_to(client: _Plain | _Direct, chunks: list[bytes], at_once: Sequence[bool] = ()) -> list[Any]:
    """`at_once`: for each chunk whether the socket's turn takes it, as far as it can; else nats-py's task alone."""
    parser: Parser = client._ps
    for number, chunk in enumerate(chunks):
        takes = number < len(at_once) and at_once[number]
        rest = parser.take(chunk) if takes and isinstance(parser, DirectParser) else chunk
        try:
            if rest or not takes:
                await parser.parse(rest)
        except (ProtocolError, UnicodeDecodeError):  # nats-py reads the lines behind a status strictly
            client.found.append("not NATS")
            break
    return client.found


def direct_client() -> _Direct:
    client = _Direct()
    for number in DIRECT:
        route = direct._Route(_receiver(client, number))
        client._subs[number] = Subscription(client, number, "any", cb=route.on_message)
    return client


def _receiver(client: _Direct, number: int) -> Receiver:
    def take(subject: str, reply: str, payload: bytes, headers: dict[str, str] | None) -> None:
        client.found.append((number, subject, reply, payload, headers))

    return take


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """The stream in chunks; a place is anywhere in it."""
    ends = sorted(place % (len(stream) + 1) for place in places)
    return [stream[start:end] for start, end in zip([0, *ends], [*ends, len(stream)], strict=True)]


@given(
    operations=st.lists(operations, max_size=12),
    ending=endings,
    places=st.just(EVERYWHERE) | st.lists(st.integers(0, 1 << 20), max_size=20),
    at_once=st.just([True] * (len(EVERYWHERE) + 1)) | st.lists(st.booleans(), max_size=21),
)
def test_what_the_server_sends_is_delivered_as_nats_py_delivers_it(
    operations: list[bytes], ending: bytes, places: list[int], at_once: list[bool]
) -> None:
    async def both() -> tuple[list[Any], list[Any]]:
        chunks = cut(b"".join(operations) + ending, places)
        return await given_to(direct_client(), chunks, at_once), await given_to(_Plain(), chunks)

    found, expected = asyncio.run(both())
    assert found == expected


def test_what_comes_while_nats_py_is_busy_waits_behind_what_came_before() -> None:
    async def found() -> list[Any]:
        client, busy, reader = direct_client(), asyncio.Event(), asyncio.StreamReader()
        client._transport = SimpleNamespace(_io_reader=reader)  # type: ignore[assignment]
        client._attach()
        await client._ps.parse(plain_message("a", 1, "", b"0"))  # from here on its receiver is known

        async def wait(*_: object) -> None:
            await busy.wait()
            client.found.append("nats-py is done")

        client._process_msg = wait  # type: ignore[method-assign, assignment]

        async def read() -> None:
            while chunk := await reader.read(1 << 15):
                await client._ps.parse(chunk)

        reading = asyncio.create_task(read())
        parts = [plain_message("a", 2, "", b"1") + plain_message("a", 1, "", b"2"), plain_message("a", 1, "", b"3")]
        for part in [plain_message("a", 1, "", b"at once"), *parts]:
            reader.feed_data(part)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert [each[3] for each in client.found] == [b"0", b"at once"]
        busy.set()
        reader.feed_eof()
        await reading
        return client.found

    assert [each if isinstance(each, str) else each[3] for each in asyncio.run(found())] == [
        *(b"0", b"at once", "nats-py is done", b"2", b"3")
    ]


@given(
    subject=subjects,
    reply=replies,
    payload=payloads,
    is_flushing=st.booleans(),
    headers=st.none()
    | st.dictionaries(
        st.sampled_from(("Nats-TTL", "traceparent", "X", "a_b", " padded ", "", "a b", "a:b", "ü", "a\nb")),
        st.sampled_from(("1", "ü", "a\r\nb: c", "a\nb", "a\rb", "", " a ")),
        min_size=1,
    ),
)
def test_what_is_sent_is_what_nats_py_would_send(
    subject: str, reply: str, payload: bytes, headers: dict[str, str] | None, is_flushing: bool
) -> None:
    async def sent(client: Client, *, directly: bool) -> tuple[bytes, int]:
        client._status = Client.CONNECTED
        client._max_payload = 1 << 20
        client._skip_subject_validation = True
        client._flush_queue = asyncio.Queue()
        client._flusher_task = asyncio.current_task()
        if is_flushing:  # another message has asked for it already
            client._flush_queue.put_nowait(asyncio.Future())
        if directly:
            assert isinstance(client, DirectClient)
            send = client.send(subject, payload, reply, headers)
        else:
            send = client.publish(subject, payload, reply=reply, headers=headers)
        with suppress(BadHeaderError):  # then nothing is sent
            await send
        assert client._pending_data_size == sum(map(len, client._pending))
        return b"".join(client._pending), client._flush_queue.qsize()

    async def both() -> tuple[tuple[bytes, int], tuple[bytes, int]]:
        return await sent(DirectClient(), directly=True), await sent(Client(), directly=False)

    found, expected = asyncio.run(both())
    assert found == expected


def test_this_nats_py_has_what_the_short_way_takes_from_it() -> None:
    assert direct.missing(Client()) == []
    assert isinstance(DirectClient()._ps, direct.DirectParser)


@pytest.mark.parametrize("why", ["nothing", "too much waits", "the task that writes has ended", "not connected"])
def test_only_what_can_be_sent_without_waiting_is_sent_at_once(why: str) -> None:
    async def sent() -> bool:
        client = DirectClient()
        client._status = Client.CONNECTED if why != "not connected" else Client.RECONNECTING
        client._flush_queue = asyncio.Queue()
        writing = client._flusher_task = asyncio.create_task(asyncio.sleep(0 if "ended" in why else 60))
        if "ended" in why:
            await writing
        client._max_pending_size = 1 if why == "too much waits" else 0
        found = client.post("a", b"x", "r", {"X": "1"})
        writing.cancel()
        assert bool(client._pending) == found
        return found

    assert asyncio.run(sent()) == (why == "nothing")
