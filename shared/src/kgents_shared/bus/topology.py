"""The topology for a service of your own: `async with topology(url) as stream`, then `async for change in stream`.

This is the state table behind a smaller door: the first changes are the snapshot, and with a `position_file` the next
run goes on where this one stopped.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.consume import Position
from kgents_shared.bus.state_view import Change, Changes, StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import TOPOLOGY
from kgents_shared.contract.errors import ConfigError
from kgents_shared.contract.topology import TopologyEntity

CONNECT_TIMEOUT_S: Final = 10.0

TopologyChange = Change[TopologyEntity]


class TopologyStream:
    """The things a filter takes, as `entities`, and what changes about them, as an asynchronous iterator.

    A change is given at least once, and in order; it counts as dealt with when the next batch is asked for.
    """

    def __init__(self, bus: Bus, filter_: str, now_ns: int, position_file: Path | None) -> None:
        self._table = StateView(bus, TOPOLOGY, "KGENTS_TOPOLOGY", [filter_])
        self._now_ns = now_ns
        self._position_file = position_file
        self.is_complete = False
        """Whether `entities` holds everything: true behind the last change of the snapshot."""

    @property
    def entities(self) -> MappingProxyType[str, TopologyEntity]:
        """Subject → the thing now. After a resumption: only what changed since."""
        return MappingProxyType({subject: row.message for subject, row in self._table.rows.items()})

    async def __aiter__(self) -> AsyncGenerator[TopologyChange, None]:
        position = _read(self._position_file)
        async with aclosing(self._table.follow(now_ns=self._now_ns, position=position)) as news:
            async for changes in news:
                for change in changes.changes:
                    yield change
                self._note(changes)

    def _note(self, changes: Changes[TopologyEntity]) -> None:
        self.is_complete = self.is_complete or changes.caught_up
        if self._position_file is not None and changes.position is not None:
            _write(self._position_file, changes.position)


@asynccontextmanager
async def topology(
    nats: str | NatsConfig = "nats://127.0.0.1:4222",
    *,
    position_file: Path | None = None,
    **filter_: str,
) -> AsyncIterator[TopologyStream]:
    """Follow the topology: all of it, or what `cluster=`, `kind=`, `namespace=`, `name=` say.

    Args:
        nats: where NATS is, with credentials if it wants some.
        position_file: remembers how far this consumer has come; without it every start begins with the snapshot. A
            position older than removals are kept (seven days) is not resumed from either.
        filter_: fields of the subject.

    Raises:
        BusTimeoutError: no server answers.
    """
    config = nats if isinstance(nats, NatsConfig) else NatsConfig(url=nats)
    async with Bus(config, name="topology-consumer") as bus:
        await bus.session(timeout_s=max(CONNECT_TIMEOUT_S, config.round_timeout_s))
        yield TopologyStream(bus, subjects.pattern("topology", **filter_), time.time_ns(), position_file)


def _read(file: Path | None) -> Position | None:
    if file is None or not file.exists():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=Position)
    except msgspec.DecodeError as error:
        raise ConfigError([f"{file}: expected a position, found {error}; delete the file to begin anew"]) from error


def _write(file: Path, position: Position) -> None:
    """Replace the file as a whole: a crash leaves the old position or the new one."""
    draft = file.with_name(f"{file.name}.new")
    draft.write_bytes(msgspec.json.encode(position))
    draft.replace(file)
