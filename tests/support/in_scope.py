"""What each identity of the table is shown and may decide, tried at one door: by tokens, or by sessions of people."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from kgents_gateway.http.routes import ACKNOWLEDGEMENT, SILENCE
from kgents_gateway.http.routes import QUESTIONS as ROUTES
from kgents_gateway.questions import QUESTIONS
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.tokens import Token
from kgents_shared.view.entity import key_of_ref
from support.decisions import stored
from support.gateway import ENTITIES, EVENTS, Running, SseReader
from support.scopes import ALL, NAMES, PLACES, TABLE, following, incident, incident_id, peers, places_in, pod, state
from support.state import make_event, make_topology, publish, removed
from support.waiting import eventually

Headers = dict[str, str]
Door = Callable[[str], Headers]
"""Identity → how it says who it is. One that may also decide has the same name with `.w`."""


async def answers_stay_in_scope(gateway: Running, door: Door) -> None:
    """Every question about every place, as every identity: no answer names what is outside of its scope."""
    since = datetime.now(UTC).isoformat()
    for identity, (_, sees) in TABLE.items():
        await ask_everything(gateway, identity, door(identity), sees, since)


def questions(since: str) -> Iterable[tuple[str, dict[str, str]]]:
    """Every question, about every place."""
    given = {"diff": {"since": since}, "events": {"since": "-1h"}, "cost": {"by": "entity"}}
    for path, name in ROUTES:
        needed = QUESTIONS[name].arguments.__struct_fields__
        if "incident_id" in needed:
            yield from ((path.replace("{incident_id}", incident_id(each)), {"of": each}) for each in PLACES)
        elif "entity_id" in needed:
            more = {"depth": "5"} if "depth" in needed else {}
            yield from ((path.replace("{entity_id}", key_of_ref(pod(each))), more) for each in PLACES)
        elif "source" in needed and "target" in needed:
            for source in PLACES:
                for target in PLACES:
                    yield path, {"source": key_of_ref(pod(source)), "target": key_of_ref(pod(target))}
            ends = {"source": key_of_ref(pod("eastshop")), "target": key_of_ref(pod("westbank"))}
            yield path, {**ends, "at": since}
        elif "q" in needed:
            yield from ((path, {"q": each}) for each in PLACES)
        else:
            yield path, given.get(name, {})
    yield from questions_of_a_moment(since)


def questions_of_a_moment(at: str) -> Iterable[tuple[str, dict[str, str]]]:
    """Those that take a time that has been, about two places: each of them reads the streams."""
    for path in ("entities", "incidents", "metrics", "health", "alerts"):
        yield f"/api/v1/{path}", {"at": at}
    yield "/api/db/metrics", {"at": at}
    for each in ("eastshop", "westbank"):
        yield f"/api/v1/incidents/{incident_id(each)}", {"at": at, "of": each}
        yield "/api/v1/search", {"at": at, "q": each}
        for question in ("", "/health", "/impact", "/neighbours"):
            yield f"/api/v1/entities/{key_of_ref(pod(each))}{question}", {"at": at}


async def ask_everything(gateway: Running, identity: str, headers: Headers, sees: frozenset[str], since: str) -> None:
    seen = set[str]()
    for path, params in questions(since):
        asked = places_in(f"{path} {params}")
        given = {name: each for name, each in params.items() if name != "of"}
        response = await gateway.client.get(path, params=given, headers=headers)
        if asked and not asked <= sees and "/search" not in path:
            assert response.status_code == 404, (path, params)
            # As for an id that does not exist: what was asked is repeated, and nothing else.
            assert places_in(response.text) <= sees | asked
            continue
        is_open = path not in ("/api/v1/cost", "/api/v1/pipeline") or sees == ALL
        assert response.status_code == (200 if is_open else 403), (path, params, response.text)
        found = places_in(response.text)
        assert path != "/api/v1/cost" or bool(found) == is_open, "what is refused would name something"
        if path == "/api/v1/silences":
            sees_silences = {each for each in sees if PLACES[each][1] or not TABLE[identity][0].namespaces}
            assert found == sees_silences, "one of all nodes is of what such a scope does not hold"
        assert found <= sees, (path, params)
        seen |= found
        assert not asked <= sees or found >= asked or "metrics" in path, (path, params)
    assert seen == sees


async def streams_stay_in_scope(bus: Bus, gateway: Running, door: Door) -> None:
    """Every identity follows both streams while everything changes: none names what is outside of its scope."""
    for identity, (_, sees) in TABLE.items():
        async with (
            following(gateway, door(identity), ENTITIES, events=100, incidents=100) as entities,
            following(gateway, door(identity), EVENTS, last=100) as events,
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


def text_of(reader: SseReader) -> str:
    return " ".join(f"{each.event} {each.data}" for each in reader.events)


def _texts(events: SseReader) -> list[str]:
    """How the event texts begin: with an identity, in the test above."""
    return [each["text"].partition(":")[0] for each in events.data("event")]


async def decisions_stay_in_scope(bus: Bus, gateway: Running, door: Door) -> None:
    """Every identity tries to decide about every place; nothing of what it does not see is stored."""
    for identity, (token, sees) in TABLE.items():
        asking = door(identity), door(f"{identity}.w")
        for place in PLACES:
            await decide_about(bus, gateway, asking, token, place, is_seen=place in sees)


async def decide_about(
    bus: Bus, gateway: Running, asking: tuple[Headers, Headers], token: Token, place: str, *, is_seen: bool
) -> None:
    """Acknowledge, silence, and end both; refused as if it did not exist, and nothing is stored, where it is unseen.

    `asking`: as who may only read, and as who may decide.
    """
    cluster, namespace = PLACES[place]
    path = ACKNOWLEDGEMENT.replace("{incident_id}", incident_id(place))
    identity = token.name
    own = f"{identity}-{place}"
    silence_path = SILENCE.replace("{cluster}", cluster).replace("{silence_id}", own)
    field, value = ("namespace", namespace) if namespace else ("kind", "node")
    body = {"matchers": [{"field": field, "value": value}], "duration_s": 60, "reason": "x"}
    may_silence = is_seen and (bool(namespace) or not token.namespaces)
    before = await stored_of(bus)
    for headers, is_allowed in zip(asking, (False, True), strict=True):
        for method, at, content, may in (
            ("PUT", path, {}, is_seen),
            ("DELETE", path, None, is_seen),
            ("PUT", silence_path, body, may_silence),
            ("DELETE", silence_path, None, may_silence),
        ):
            answer = await gateway.client.request(method, at, json=content, headers=headers)
            if is_allowed and may:
                assert answer.status_code == 200, (identity, method, at, answer.text)
            else:
                assert answer.status_code in ((403, 404) if is_allowed else (403,)), (identity, at)
                assert places_in(answer.text) <= places_in(at) | TABLE[identity][1]
    assert await stored_of(bus) - before == (2 if is_seen else 0) + (2 if may_silence else 0)


async def stored_of(bus: Bus) -> int:
    """How many decisions were ever stored."""
    session = await bus.session()
    return sum([(await stream_info(session, f"KGENTS_{each}")).last_seq for each in ("ACK", "SILENCE")])
