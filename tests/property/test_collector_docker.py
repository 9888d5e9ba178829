"""Whatever happens on an engine, and to the way there: the watch ends with the engine's own list."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from kgents_collector_docker.source.watch import Watch
from support.clock import FakeClock
from support.docker_model import IDS, Model
from support.running import running

VERBS = ("set", "set", "remove", "network", "volume", "retag", "silence", "cut", "restart")
TURNS_MAX = 1_000
"""Turns of the loop until both agree; 45 were the most in 3,000 runs. Not seconds: a busy machine has fewer of them."""
STEPS = st.lists(
    st.tuples(st.sampled_from(VERBS), st.sampled_from(IDS), st.integers(0, 9), st.integers(0, 6)), max_size=30
)


async def _on_poll() -> None: ...


async def play(steps: list[tuple[str, str, int, int]], pauses: list[int], resync_interval_s: float) -> None:
    model, reported = Model(), list[str]()
    watch = Watch(
        model,  # type: ignore[arg-type]
        FakeClock(),
        resync_interval_s=resync_interval_s,
        on_poll=_on_poll,
        on_event=lambda event: reported.append(event.key),
    )
    async with running(watch.run()):
        model.pauses = pauses
        for verb, id_, number, turns in steps:
            if verb == "silence":  # or the end of it, which no event reports
                model.silent ^= {(f"containers/{id_}/json", "networks", "volumes", "images/i0/json")[number % 4]}
            else:
                model.do(verb, id_, number)
            for _ in range(turns):
                await asyncio.sleep(0)
        model.is_down, model.silent = False, set()

        def agrees() -> bool:
            found = watch.inventory
            return (
                found is not None
                and watch.is_seen
                and not watch.fault
                and not found.uninspected
                and (found.containers, found.networks, found.volumes, found.images) == model.listed
            )

        for _ in range(TURNS_MAX):
            if agrees():
                break
            await asyncio.sleep(0)
        assert agrees()
        assert len(reported) == len(set(reported))


@settings(max_examples=200)
@given(STEPS, st.lists(st.integers(0, 4), max_size=40), st.sampled_from([1e9, 2.0]))
def test_any_interleaving_of_events_and_reconnects_ends_in_the_engines_own_list(
    steps: list[tuple[str, str, int, int]], pauses: list[int], resync_interval_s: float
) -> None:
    asyncio.run(play(steps, pauses, resync_interval_s))
