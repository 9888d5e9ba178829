"""What streams hold, read as any client could: plain JSON over nats-py, nothing of the bus or the contract."""

import asyncio
import json
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from support.waiting import within

STREAMS = ("ENTITY", "PULSE", "EVENT", "TOPOLOGY", "HEALTH", "ALERT", "META")
STATE = ("ENTITY", "TOPOLOGY", "HEALTH", "ALERT")
NOTIFIED = ("INCIDENT", "NOTICE")
"""What alert-notifier writes: it goes on as time passes, so that only its history is judged."""
OURS = "Kgents-Fault"
"""The header of what a schedule itself stores, so that nobody takes it for a service's."""
ANSWER_S = 3.0

Json = dict[str, Any]


class UnreadableError(Exception):
    """A stream cannot be read now."""


@dataclass(frozen=True)
class Stored:
    """One message of a stream."""

    stream: str
    subject: str
    seq: int
    time: str
    headers: dict[str, str] = field(repr=False)
    payload: bytes = field(repr=False)

    @property
    def is_marker(self) -> bool:
        """Whether the server wrote it: a message expired or was removed."""
        return "Nats-Marker-Reason" in self.headers

    @property
    def is_ours(self) -> bool:
        return OURS in self.headers

    @property
    def body(self) -> Json | None:
        """As JSON; None if it is none."""
        try:
            found = json.loads(self.payload)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    @property
    def is_removal(self) -> bool:
        return self.is_marker or (self.body or {}).get("op") == "remove"


def key_of(ref: Json) -> tuple[str, str, str]:
    """(kind, namespace, name) of a ref."""
    return ref["kind"], ref.get("namespace", ""), ref["name"]


async def _ignore(_: Exception) -> None:
    """What is asked next fails too, and says so."""


class Reader:
    """`async with Reader(urls) as reader`: connects again for every question that needs it."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = urls
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                async with within(2):
                    await client.close()
            except Exception:  # noqa: BLE001 - it is of no use any more, whatever nats-py raises
                return

    async def client(self) -> Client:
        if self._client is None or not self._client.is_connected:
            await self.close()
            try:
                async with within(ANSWER_S):
                    self._client = await nats.connect(
                        self._urls,
                        allow_reconnect=False,
                        connect_timeout=2,
                        max_reconnect_attempts=1,
                        error_cb=_ignore,
                    )
            except Exception as error:
                raise UnreadableError(f"cannot connect: {error!r}") from error
        assert self._client is not None
        return self._client

    async def ask(self, subject: str, body: object = None, *, timeout_s: float = ANSWER_S) -> Json:
        """One request of the JetStream API; errors are part of the answer."""
        payload = json.dumps(body).encode() if body is not None else b""
        client = await self.client()
        try:
            found: Json = json.loads((await client.request(subject, payload, timeout=timeout_s)).data)
        except Exception as error:
            await self.close()
            raise UnreadableError(f"{subject}: {error!r}") from error
        return found

    async def info(self, stream: str) -> Json:
        """As the leader answers it."""
        found = await self.ask(f"$JS.API.STREAM.INFO.KGENTS_{stream}")
        if "error" in found or ("cluster" in found and not found["cluster"].get("leader")):
            raise UnreadableError(f"{stream}: {found.get('error', 'no leader')}")
        return found

    async def last_seq(self, stream: str) -> int:
        found: int = (await self.info(stream))["state"]["last_seq"]
        return found

    async def last(self, stream: str, pattern: str = ">") -> dict[str, Stored]:
        """The last message of every subject under a pattern."""
        return {
            each.subject: each
            for each in await self._many(stream, {"multi_last": [pattern], "batch": 10_000, "max_bytes": 32 * 2**20})
        }

    async def after(self, stream: str, seq: int) -> list[Stored]:
        """Every message that is still there behind a sequence."""
        return await self._many(
            stream, {"seq": seq + 1, "next_by_subj": ">", "batch": 100_000, "max_bytes": 32 * 2**20}
        )

    async def _many(self, stream: str, body: Json) -> list[Stored]:
        client = await self.client()
        found: list[Stored] = []
        answers: asyncio.Queue[Msg] = asyncio.Queue()
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=answers.put)
        try:
            await client.publish(f"$JS.API.DIRECT.GET.KGENTS_{stream}", json.dumps(body).encode(), reply=inbox)
            while True:
                async with within(ANSWER_S):
                    answer = await answers.get()
                headers = dict(answer.headers or {})
                if status := headers.get("Status"):
                    break
                found.append(
                    Stored(
                        stream, headers.pop("Nats-Subject"), int(headers.pop("Nats-Sequence")),
                        headers.pop("Nats-Time-Stamp"), headers, answer.data,
                    )
                )  # fmt: skip
        except Exception as error:
            await self.close()
            raise UnreadableError(f"{stream}: {error!r}") from error
        finally:
            if client.is_connected:
                await subscription.unsubscribe()
        if status not in ("204", "404"):
            raise UnreadableError(f"{stream}: {status} {headers.get('Description', '')}")
        return found

    async def store(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> Json:
        """Store a message as a stranger does; returns the ack, or the server's error."""
        client = await self.client()
        try:
            answer = await client.request(subject, payload, timeout=ANSWER_S, headers={OURS: "1", **(headers or {})})
            found: Json = json.loads(answer.data)
        except Exception as error:
            await self.close()
            raise UnreadableError(f"{subject}: {error!r}") from error
        return found
