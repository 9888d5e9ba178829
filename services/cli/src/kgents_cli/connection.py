"""Configuration → a connection to NATS, or one sentence on why there is none."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from kgents_cli.log import setup as setup_logging
from kgents_shared.bus.client import Bus
from kgents_shared.bus.provision import require_streams
from kgents_shared.contract.errors import NoServerError
from kgents_shared.contract.streams import Stream, StreamsConfig, streams
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.entity import STATE

NAME: Final = "cli"
"""Of the connection; replies arrive under `_INBOX_cli.<login>.>`."""
STREAMS: Final = {stream.signal: stream for stream in streams(StreamsConfig())}
"""Signal → its stream."""


@asynccontextmanager
async def connected(common: CommonConfig, *, log_level: str = "error", login: str = "") -> AsyncIterator[Bus]:
    """A bus that is connected.

    It waits for a server that is about to start, for as long as one attempt at each url may take.

    Args:
        common: where the server is.
        log_level: `error` for what asks once and reports its own errors; `warning` for what stays and may lose the
            connection meanwhile.
        login: of the service whose login is used, which decides where replies arrive; empty: that of commands.

    Raises:
        BusTimeoutError: no server answers, or none lets us in; the text says which.
    """
    setup_logging("error")  # why a first connection fails is in the error
    async with Bus(common.nats, name=login or NAME, cluster=common.cluster if login else "") as bus:
        try:
            await bus.session(timeout_s=common.nats.round_timeout_s)
        except NoServerError as error:
            raise NoServerError(f"{error}; start one with `kgents up`, or name yours with --nats") from None
        setup_logging(log_level)
        yield bus


async def require(bus: Bus, needed: Sequence[Stream]) -> None:
    """See that the streams are there, since a reader of a missing one would wait for it.

    Raises:
        ProvisionError: they are not.
    """
    await require_streams(await bus.session(), needed)


async def require_state(bus: Bus) -> None:
    """See that the streams of topology, health and alerts are there.

    Raises:
        ProvisionError: they are not.
    """
    await require(bus, [STREAMS[signal] for signal in STATE])
