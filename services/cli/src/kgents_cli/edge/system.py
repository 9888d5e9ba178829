"""What a hub's servers are asked by the system account: to reload, which leaf nodes there are, to end one."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import structs

from kgents_cli.connection import connected
from kgents_shared.bus.config import Secret
from kgents_shared.bus.session import Session
from kgents_shared.contract.errors import BusError
from kgents_shared.runtime.config import CommonConfig

ANSWERS_S: Final = 1.0
"""How long the servers of a cluster are awaited: no one knows how many answer."""


class Leaf(msgspec.Struct, frozen=True):
    """A leaf node that is connected."""

    name: str
    """As its server calls itself."""
    cid: int
    server: str
    """The id of the server that it is connected to."""


@asynccontextmanager
async def as_system(common: CommonConfig, seed: Path) -> AsyncIterator[Session]:
    """A session of the system account."""
    nats = structs.replace(common.nats, nkey_seed=Secret(seed), credentials_file=None, user=None, password=None)
    async with connected(structs.replace(common, nats=nats)) as bus:
        yield await bus.session()


async def reload(session: Session) -> int:
    """Have all servers read their configuration again; returns how many did.

    Raises:
        BusError: one refuses it.
    """
    servers = [str(each["server"]["id"]) for each in await _ping(session, "STATSZ")]
    for server in servers:
        answer = msgspec.json.decode((await session.request(f"$SYS.REQ.SERVER.{server}.RELOAD")).data)
        if error := answer.get("error"):
            raise BusError(f"a server does not take its configuration: {error.get('description', error)}")
    return len(servers)


async def leaves(session: Session) -> list[Leaf]:
    """All leaf nodes of all servers."""
    return [
        Leaf(str(leaf.get("name", "")), int(leaf.get("cid") or leaf.get("id") or 0), str(each["server"]["id"]))
        for each in await _ping(session, "LEAFZ")
        for leaf in each.get("data", {}).get("leafs") or []
    ]


async def end(session: Session, leaf: Leaf) -> None:
    """End one connection; with a key that counts it comes back."""
    await session.request(f"$SYS.REQ.SERVER.{leaf.server}.KICK", msgspec.json.encode({"cid": leaf.cid}))


async def _ping(session: Session, what: str) -> list[Mapping[str, Any]]:
    answers: list[Mapping[str, Any]] = []
    inbox = session.new_inbox()

    async def on_answer(answer: Any) -> None:
        if answer.data:
            answers.append(msgspec.json.decode(answer.data))

    unsubscribe = await session.subscribe(inbox, on_answer)
    await session.publish(f"$SYS.REQ.SERVER.PING.{what}", b"", reply=inbox)
    await asyncio.sleep(ANSWERS_S)
    await unsubscribe()
    return answers
