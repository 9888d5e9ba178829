"""What everything is compared with: the least that nats-py can do for the same I/O, without decoding or recovery."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from bench.fleet import ENTITY_PREFIX, TOPOLOGY_PREFIX
from kgents_shared.bus.publish import EXPECTED_SEQUENCE, WINDOW
from kgents_shared.bus.pull import BATCH
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, encode
from kgents_shared.contract.entity import Entity

Handler = Callable[[Msg], Awaitable[None]]
EXPIRES_S: Final = 30


async def connect(url: str) -> Client:
    """A client of nats-py with the options of ours that matter here."""
    return await nats.connect(url, allow_reconnect=False, skip_subject_validation=True)


class BarePublisher:
    """JetStream publishing with the same window of un-acked messages as ours; an ack is a decrement."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._in_flight = 0
        self._news = asyncio.Event()
        self.failed = 0

    async def open(self) -> None:
        await self._client.subscribe(self._inbox, cb=self._on_ack, pending_msgs_limit=-1, pending_bytes_limit=-1)

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> None:
        while self._in_flight >= WINDOW:
            self._news.clear()
            await self._news.wait()
        self._in_flight += 1
        await self._client.publish(subject, payload, reply=self._inbox, headers=headers)

    async def drain(self) -> None:
        """Wait forevery ack; all of them must be good."""
        while self._in_flight:
            self._news.clear()
            await self._news.wait()
        if self.failed:
            raise RuntimeError(f"{self.failed} bare messages were refused")

    async def _on_ack(self, message: Msg) -> None:
        self._in_flight -= 1
        self.failed += b'"error"' in message.data or not message.data
        self._news.set()


async def pull(client: Client, stream: str, policy: str, handle: Handler) -> int:
    """Hand every message of a stream to `handle`, from now on; returns how many were waiting."""
    puller = _Puller(client, stream, handle)
    return await puller.open(policy)


class _Puller:
    """A core subscription that the server's pull requests fill: no future and no queue for each message."""

    def __init__(self, client: Client, stream: str, handle: Handler) -> None:
        self._client = client
        self._stream = stream
        self._handle = handle
        self._inbox = client.new_inbox()
        self._name = self._inbox.rpartition(".")[2]
        self._asked = 0
        self._request = msgspec.json.encode({"batch": BATCH, "expires": EXPIRES_S * 1_000_000_000})

    async def open(self, policy: str) -> int:
        await self._client.subscribe(self._inbox, cb=self._on_message, pending_msgs_limit=-1, pending_bytes_limit=-1)
        config: dict[str, Any] = {
            "name": self._name,
            "deliver_policy": policy,
            "ack_policy": "none",
            "mem_storage": True,
        }
        config["filter_subject"] = subjects.pattern(self._stream.removeprefix("KGENTS_").lower())
        config["inactive_threshold"] = 60_000_000_000
        body = msgspec.json.encode({"stream_name": self._stream, "action": "create", "config": config})
        subject = f"$JS.API.CONSUMER.CREATE.{self._stream}.{self._name}"
        info: dict[str, Any] = msgspec.json.decode((await self._client.request(subject, body, timeout=10)).data)
        if "error" in info:
            raise RuntimeError(f"{self._stream}: {info['error']}")
        await self._ask()
        return int(info["num_pending"])

    async def _ask(self) -> None:
        self._asked += BATCH
        await self._client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}", self._request, reply=self._inbox
        )

    async def _on_message(self, message: Msg) -> None:
        if not message.reply:  # a request that ended
            self._asked -= int((message.headers or {}).get("Nats-Pending-Messages", "0"))
            await self._ask()
            return
        self._asked -= 1
        if self._asked < BATCH // 2:
            await self._ask()
        await self._handle(message)


async def relay(url: str, on_ready: Callable[[], None], *, decodes: bool = False) -> None:
    """Entity in → the same payload out on the topology stream, forever.

    `decodes`: with what no builder in Python can do without: the entity is decoded and kept, and its encoded form goes
    out with the bytes of our header, under a name that the server does not read.
    """
    client = await connect(url)
    publisher = BarePublisher(client)
    await publisher.open()
    cut = len(ENTITY_PREFIX)

    async def forward(message: Msg) -> None:
        await publisher.publish(TOPOLOGY_PREFIX + message.subject[cut:], message.data)

    kept: dict[str, Entity] = {}
    headers = {EXPECTED_SEQUENCE.replace("Nats", "Noop"): "12345"}

    async def decode_and_forward(message: Msg) -> None:
        entity = kept[message.subject] = ENTITY.decode(message.data)
        await publisher.publish(TOPOLOGY_PREFIX + message.subject[cut:], encode(entity), headers)

    await pull(client, "KGENTS_ENTITY", "last_per_subject", decode_and_forward if decodes else forward)
    on_ready()
    await asyncio.Event().wait()


async def follow(url: str, signals: Sequence[str], on_ready: Callable[[], None]) -> None:
    """Receive the last values of some streams and all that follows, forever, and drop it."""
    client = await connect(url)

    async def drop(_: Msg) -> None:
        pass

    for signal in signals:
        await pull(client, f"KGENTS_{signal}", "last_per_subject", drop)
    on_ready()
    await asyncio.Event().wait()


async def read(client: Client, stream: str, take: Callable[[Msg], None]) -> int:
    """Read the last message of every subject; returns how many there were."""
    done = asyncio.Event()
    found, expected = 0, -1

    async def count(message: Msg) -> None:
        nonlocal found
        take(message)
        found += 1
        if found == expected:
            done.set()

    expected = await pull(client, stream, "last_per_subject", count)
    if found < expected:
        await done.wait()
    return found
