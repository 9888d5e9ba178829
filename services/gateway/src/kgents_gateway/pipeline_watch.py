"""How the pipeline is, judged once for all clients: a page is not to call healthy what no one observes any more."""

import asyncio
from typing import Final

from kgents_gateway.problems import UnavailableError
from kgents_gateway.questions.pipeline import PipelineArguments, pipeline
from kgents_gateway.questions.world import World
from kgents_gateway.stream.connections import Connections
from kgents_shared.contract.errors import BusError
from kgents_shared.runtime.clock import Clock

EVERY_S: Final = 5.0
ANSWER_S: Final = 5.0
_ONE: Final = PipelineArguments(limit=1)


async def watch_pipeline(world: World, connections: Connections, clock: Clock) -> None:
    """Judge it again and again. Never returns."""
    while True:
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await pipeline(world, _ONE)
        except (BusError, UnavailableError, TimeoutError):
            connections.note_pipeline("unknown", "how the pipeline is cannot be read")
        else:
            connections.note_pipeline(found.status, found.findings[0].text if found.findings else found.text)
        await clock.sleep(EVERY_S)
