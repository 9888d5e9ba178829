"""The pipeline's streams on a test's server."""

from kgents_shared.bus import provision
from kgents_shared.bus.client import Bus
from kgents_shared.contract.streams import StreamsConfig, streams


async def provision_streams(bus: Bus, config: StreamsConfig | None = None) -> None:
    session = await bus.session(timeout_s=10)
    await provision.apply(session, await provision.plan(session, streams(config or StreamsConfig())))
