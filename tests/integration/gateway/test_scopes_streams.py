"""No stream shows an identity more than its scope holds, nor goes on with what another one knew."""

from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from support.decisions import stored
from support.gateway import ENTITIES, EVENTS, Running, SseReader
from support.scopes import NAMES, PLACES, TABLE, following, incident, peers, places_in, pod, state
from support.state import make_event, make_topology, publish, removed
from support.waiting import eventually


def text_of(reader: SseReader) -> str:
    return " ".join(f"{each.event} {each.data}" for each in reader.events)


async def test_no_stream_names_what_is_outside_of_the_scope(bus: Bus, guarded: Running) -> None:
    for identity, (_, sees) in TABLE.items():
        async with (
            following(guarded, identity, ENTITIES, events=100, incidents=100) as entities,
            following(guarded, identity, EVENTS, last=100) as events,
        ):
            assert places_in(" ".join(entities.state)) == sees
            await eventually(lambda: "incidents" in entities.names)
            assert entities.data("incidents")[0]["count"] == len(sees)
            pipeline = entities.data("hello")[0]["pipeline"], events.data("hello")[0]["pipeline"]
            assert (pipeline == (None, None)) == (identity != "all"), "of all clusters"
            assert entities.data("ready")[0]["entities"] <= (len(sees) + 2 if sees else 0)
            for place in PLACES:
                cluster, namespace = PLACES[place]
                gone = make_topology(ref=Ref(cluster, "pod", f"{place}-gone", namespace), connections=peers(place))
                event = make_event(ref=pod(place), text=f"{identity}: {NAMES}", message=NAMES)
                await publish(bus, state(place, "pending"), gone, removed(gone), event)
                await stored(bus, incident(place, revision=2), incident(place, op="remove"), incident(place))
            last = make_topology(ref=Ref("east", "pod", "last", "shop"))
            await publish(bus, last, removed(last), make_event(ref=pod("eastshop"), text=f"{identity}: last"))
            count = len(sees) + ("eastshop" in sees)
            await eventually(lambda: entities.names.count("remove") == count)  # noqa: B023 - awaited here
            await eventually(lambda: _texts(events).count(identity) == count)  # noqa: B023 - awaited here
            await eventually(lambda: _texts(entities).count(identity) == count)  # noqa: B023 - awaited here
            await eventually(lambda: len(entities.data("incident")) == 3 * len(sees))  # noqa: B023 - awaited here
            assert places_in(text_of(entities)) == sees, identity
            assert places_in(text_of(events)) == sees, identity


def _texts(events: SseReader) -> list[str]:
    """How the event texts begin: with an identity, in the test above."""
    return [each["text"].partition(":")[0] for each in events.data("event")]


async def test_a_stream_is_not_continued_with_an_id_of_another_scope(bus: Bus, guarded: Running) -> None:
    ids = {}
    for identity in TABLE:
        async with following(guarded, identity, ENTITIES) as reader:
            ids[identity] = reader.last_id
    await publish(bus, *(state(each, "failed") for each in PLACES))
    await eventually(lambda: all(_status(guarded, each) == "failed" for each in PLACES))
    for mine, (_, sees) in TABLE.items():
        for other, last_id in ids.items():
            async with following(guarded, mine, ENTITIES, last_id=last_id) as reader:
                mode = reader.data("hello")[0]["mode"]
                assert mode == ("resume" if mine == other else "snapshot"), (mine, other)
                assert places_in(text_of(reader)) <= sees
                assert places_in(" ".join(reader.state)) == sees


def _status(gateway: Running, place: str) -> str:
    view = gateway.gateway.current.fold.get(pod(place))
    return view.status if view is not None else ""
