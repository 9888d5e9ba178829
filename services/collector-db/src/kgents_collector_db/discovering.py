"""Targets that are not configured: marked entities on the stream, and servers on this machine."""

import asyncio
import os
import pwd
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import aclosing
from typing import Any, Final

import structlog

from kgents_collector_db.backend import Backend
from kgents_collector_db.backends import Backends
from kgents_collector_db.config import Config, DiscoveryConfig
from kgents_collector_db.detect import POSTGRES_SOCKETS, QDRANT, REDIS, postgres_ports, wants_qdrant_key
from kgents_collector_db.mapping.discovery import Found, found
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_collector_db.targets.redis import RedisTarget
from kgents_collector_db.targets.target import Target
from kgents_shared.contract import subjects
from kgents_shared.contract.address import join, split
from kgents_shared.contract.codec import ENTITY
from kgents_shared.runtime.detect import listens
from kgents_shared.runtime.service import Context

FOUND_MAX: Final = 200
"""Most databases that are taken from the stream: each one costs a connection, and a mark is easily copied."""
_OF_SERVER: Final = frozenset({"saturated", "starting", "wrong credentials", "missing privilege"})
_SPOKEN: Final[dict[type[Target], frozenset[str]]] = {
    PostgresTarget: _OF_SERVER | {"own limit", "pooler", "frozen"},  # its socket names it, also while it is silent
    RedisTarget: _OF_SERVER | {"busy script"},
}
"""Causes that only a server of that kind gives. A status of HTTP, as Qdrant's, may come from any other program: see
`wants_qdrant_key`."""

_log = structlog.get_logger(__name__)


async def discovered(context: Context[Config], config: DiscoveryConfig) -> AsyncGenerator[list[Found], None]:
    """Yield all marked databases: once the stream is read to its end, then after every change."""
    # One filter, and no consumer of several: no login could be held to those.
    patterns = [subjects.pattern("entity", cluster=context.cluster)]
    marked: dict[str, Found] = {}
    is_known = False
    news = context.reader(ENTITY, patterns).follow()
    async with aclosing(news):
        async for changes in news:
            before = dict(marked)
            for change in changes.changes:
                entity = change.new
                seen = found(entity) if entity is not None and entity.source in config.sources else None
                if isinstance(seen, Found):
                    marked[change.subject] = seen
                else:
                    marked.pop(change.subject, None)
                    if seen is not None:
                        _log.warning("marked_database_unusable", reason=seen)
            if changes.caught_up or (is_known and marked != before):
                is_known = True
                yield _limited(marked)


def _limited(marked: dict[str, Found]) -> list[Found]:
    if len(marked) > FOUND_MAX:
        _log.warning("too_many_marked_databases", expected_at_most=FOUND_MAX, found=len(marked))
    return [marked[subject] for subject in sorted(marked)[:FOUND_MAX]]


async def on_this_machine(backends: Backends, taken: Collection[str], known: Collection[str]) -> list[Backend[Any]]:
    """The servers of this machine: those that accept this user without a password, and those that say why they do not.

    Args:
        backends: makes them.
        taken: names that the configuration already uses.
        known: names that are published: they are kept even if the server is down now.
    """
    there: list[Backend[Any]] = []
    for name, target in _usual_places(known):
        if name in taken:
            continue
        backend = backends.of(name, target)
        if name in known or await _is_there(backend):
            there.append(backend)
    return there


async def _is_there(backend: Backend[Any]) -> bool:
    """Whether such a server answers. One that is full or refuses us is there; a program that is silent may be any."""
    host, port = split(backend.target.address)
    if port is not None and not await asyncio.to_thread(listens, host, port):  # no port: a unix socket
        return False
    async with aclosing(backend.open()) as source:
        sample = await source.read(frozenset({"fast"}))
    if sample.unreachable is None or sample.unreachable.cause in _SPOKEN.get(type(backend.target), frozenset()):
        return True
    return isinstance(backend.target, QdrantTarget) and await asyncio.to_thread(wants_qdrant_key)


def _usual_places(known: Collection[str]) -> Iterator[tuple[str, Target]]:
    user = pwd.getpwuid(os.geteuid()).pw_name  # peer authentication: the server takes the user from the kernel
    numbers = (name.removeprefix("postgres-") for name in known if name != "postgres")
    ports = {*postgres_ports(), *(int(number) for number in numbers if number.isdecimal())}
    if "postgres" in known:
        ports.add(5432)
    for port in sorted(ports):
        name = "postgres" if port == 5432 else f"postgres-{port}"
        yield name, PostgresTarget(host=str(POSTGRES_SOCKETS), port=port, user=user, connect_timeout_s=1)
    host, port = REDIS
    yield "redis", RedisTarget(host=host, port=port, connect_timeout_s=1, timeout_s=1)
    yield "qdrant", QdrantTarget(url=f"http://{join(*QDRANT)}", connect_timeout_s=1, timeout_s=1)
