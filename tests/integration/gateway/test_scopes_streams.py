"""No stream shows an identity more than its scope holds, nor goes on with what another one knew."""

import asyncio

from kgents_shared.bus.client import Bus
from support.gateway import ENTITIES, Running
from support.in_scope import streams_stay_in_scope, text_of
from support.scopes import PLACES, TABLE, bearer, following, places_in, pod, state
from support.state import publish
from support.waiting import eventually


async def test_no_stream_names_what_is_outside_of_the_scope(bus: Bus, guarded: Running) -> None:
    await streams_stay_in_scope(bus, guarded, bearer)


async def test_a_stream_is_not_continued_with_an_id_of_another_scope(bus: Bus, guarded: Running) -> None:
    ids = {}
    for identity in TABLE:
        async with following(guarded, bearer(identity), ENTITIES) as reader:
            ids[identity] = reader.last_id
    await publish(bus, *(state(each, "failed") for each in PLACES))
    await eventually(lambda: all(_status(guarded, each) == "failed" for each in PLACES))
    for mine, (_, sees) in TABLE.items():
        async with asyncio.TaskGroup() as tasks:
            modes = {
                other: tasks.create_task(continued(guarded, mine, last_id, sees)) for other, last_id in ids.items()
            }
        for other, mode in modes.items():
            assert mode.result() == ("resume" if mine == other else "snapshot"), (mine, other)


async def continued(gateway: Running, mine: str, last_id: str, sees: frozenset[str]) -> str:
    """How a stream begins that is given an id, and that it shows its own scope."""
    async with following(gateway, bearer(mine), ENTITIES, last_id=last_id) as reader:
        assert places_in(text_of(reader)) <= sees
        assert places_in(" ".join(reader.state)) == sees
        mode: str = reader.data("hello")[0]["mode"]
        return mode


def _status(gateway: Running, place: str) -> str:
    view = gateway.gateway.current.fold.get(pod(place))
    return view.status if view is not None else ""
