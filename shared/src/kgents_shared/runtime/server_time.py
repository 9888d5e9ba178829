"""The lease of a collector → by how much the clock of its machine is wrong, so that its samples have the server's time.

Samples are judged by the server's time. What a source dates itself, as an engine its events, keeps that time.
"""

from typing import Any, Final, NoReturn

from kgents_shared.bus.turns import until_turn_s
from kgents_shared.runtime.service import Context

LEARN_INTERVAL_S: Final = 10.0
"""After a step of the machine's clock, for so long a sample may be refused; then it is judged again."""


async def learn(context: Context[Any]) -> None:
    """Compare the clocks once, if that is possible now. Takes a moment, and at most as long as an answer may take."""
    context.server_clock.learn(await context.lease.clock_ahead_s())


async def keep_learning(context: Context[Any]) -> NoReturn:
    """Compare them again and again, for as long as the lease is held. Never returns."""
    while True:
        await context.clock.sleep(until_turn_s(LEARN_INTERVAL_S))
        await learn(context)
