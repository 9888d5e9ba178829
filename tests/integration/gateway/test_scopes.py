"""Every identity at every door: what it may see, and not a name of anything else.

Each place (a cluster and a namespace) has entities that are called after it, connected with those of all other places,
and named in their sentences. So an answer that holds the name of a place shows something of it.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from kgents_gateway.config import LimitsConfig
from kgents_gateway.http.routes import ACKNOWLEDGEMENT, IDENTITY, SILENCE
from kgents_gateway.http.routes import QUESTIONS as ROUTES
from kgents_gateway.questions import QUESTIONS
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Aggregate
from kgents_shared.contract.incident import Affected, Decided, Incident, IncidentReason, Moment, Root
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.silence import Matcher, Silence
from kgents_shared.contract.tokens import Token, digest_of
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from kgents_shared.view.entity import key_of_ref
from support.build import NOW
from support.decisions import make_silence, stored
from support.gateway import ENTITIES, EVENTS, Running, SseReader, caught_up, serving
from support.incidents import make_incident
from support.running import running
from support.state import edge, make_alert, make_event, make_health, make_topology, publish, removed
from support.waiting import eventually

PLACES: Final = {
    "eastshop": ("east", "shop"),
    "eastbank": ("east", "bank"),
    "eastnode": ("east", ""),
    "westshop": ("west", "shop"),
    "westbank": ("west", "bank"),
    "westnode": ("west", ""),
}
"""What entities are called → where they are."""
ALL: Final = frozenset(PLACES)
TABLE: Final[dict[str, tuple[Token, frozenset[str]]]] = {
    name: (Token(name, digest_of(name), clusters, namespaces), frozenset(sees.split()))
    for name, clusters, namespaces, sees in (
        ("all", (), (), " ".join(PLACES)),
        ("east", ("east",), (), "eastshop eastbank eastnode"),
        ("e-star", ("e*",), (), "eastshop eastbank eastnode"),
        ("shop", (), ("shop",), "eastshop westshop"),
        ("east-shop", ("east",), ("shop",), "eastshop"),
        ("east-shop-nodes", ("east",), ("shop", ""), "eastshop eastnode"),
        ("two", ("east", "west"), ("bank",), "eastbank westbank"),
        ("nowhere", ("north",), (), ""),
        ("not-a-prefix", ("eas",), ("sho",), ""),
    )
}
"""Identity → its token, and the places that it sees."""
WRITER: Final = Token("writer", digest_of("writer"), may=("alert:write",))
DECIDING: Final = tuple(
    Token(f"{name}.w", digest_of(f"{name}.w"), token.clusters, token.namespaces, ("read", "alert:write"))
    for name, (token, _) in TABLE.items()
)
"""The same who may also decide."""
BASE: Final = (*(token for token, _ in TABLE.values()), WRITER, *DECIDING)


def pod(place: str) -> Ref:
    cluster, namespace = PLACES[place]
    return Ref(cluster, "pod" if namespace else "node", f"{place}-1", namespace)


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}"}


def cookie(name: str) -> dict[str, str]:
    """As a browser sends it that logged in with a token."""
    return {"cookie": f"kgents={name}", "sec-fetch-site": "same-origin"}


def write(file: Path, tokens: Iterable[Token] = BASE) -> Path:
    file.write_text("".join(f"{each}\n" for each in tokens))
    return file


def places_in(text: str) -> set[str]:
    return set(re.findall("|".join(PLACES), text))


def incident_id(place: str) -> str:
    return f"{list(PLACES).index(place):016x}"


NAMES: Final = " and ".join(pod(each).name for each in PLACES)


def peers(place: str) -> list[ResolvedConnection]:
    return [edge("depends_on", pod(other)) for other in PLACES if other != place]


def state(place: str, status: str) -> TopologyEntity:
    ref = pod(place)
    why: dict[str, Any] = {"peers": [NAMES], "why": NAMES}
    return make_topology(ref=ref, text=f"{ref} needs {NAMES}", status=status, connections=peers(place), attributes=why)


def incident(place: str, **fields: Any) -> Incident:
    """One that a place causes, and that affects all others of its cluster; its sentences name everything."""
    ref = pod(place)
    others = [pod(each) for each in PLACES if PLACES[each][0] == ref.cluster]
    found = {
        "text": f"{ref}: {NAMES}", "title": f"{ref}: {NAMES}", "id": incident_id(place),
        "root": Root(ref=ref, check="KG-041", why=f"it explains {NAMES}"),
        "parent": next(incident_id(each) for each in PLACES if each != place and PLACES[each][0] == ref.cluster),
        "affected": [Affected(ref=each, severity="critical", checks=["KG-041"]) for each in others],
        "affected_count": len(others),
        "affected_by_kind": {"pod": 2, "node": 1},
        "reasons": [IncidentReason(text=f"{each}: {NAMES}", ref=each, check="KG-041") for each in others],
        "timeline": [
            Moment(at=NOW, text=f"{NAMES}."), Moment(at=NOW, text="3 entities are affected."),
            *(silenced(each) for each in PLACES if PLACES[each][0] == ref.cluster),
        ],
        "silenced_by": [f"quiet-{each}" for each in PLACES], "members": [NAMES],
    }  # fmt: skip
    return make_incident(ref=ref, **{**found, **fields})


def silenced(place: str) -> Moment:
    """That the silence of a place began to act."""
    of = silence(place)
    decided = Decided(action="silence", by="ada", silence=of.id, matchers=of.matchers)
    return Moment(at=NOW, text=f"Silenced by {of.id}.", decided=decided)


def silence(place: str) -> Silence:
    """One of a whole namespace, or, where there is none, of everything."""
    cluster, namespace = PLACES[place]
    matcher = Matcher(field="namespace", value=namespace) if namespace else Matcher(field="kind", value="node")
    return make_silence(f"quiet-{place}", cluster=cluster, matchers=[matcher], reason=place)


async def fill(bus: Bus) -> None:
    """Entities of every place with health, alerts, events and figures; each names those of all others."""
    for place in PLACES:
        ref = pod(place)
        await publish(
            bus,
            state(place, "running"),
            make_health(ref=ref, level="critical", text=f"{ref} is critical since {NAMES}"),
            make_alert(ref=ref, text=f"{ref}: {NAMES}"),
            make_event(ref=ref, text=f"{ref}: {NAMES}", message=NAMES),
        )
        sample = ResourcePulse(
            text="", ref=ref, source="k8s", timestamp=datetime.now(UTC), interval_s=5, cpu_percent=3.0, memory_bytes=7
        )
        await (await bus.session()).request(ref.subject("pulse", source="k8s"), encode(sample))
        await stored(bus, incident(place), silence(place))
        of: dict[str, Any] = {"cluster": ref.cluster, "incident": incident_id(place), "text": NAMES}
        await stored(bus, Notice(receiver="ops", delivered=1, delivered_state="open", **of))
    for cluster in ("east", "west"):
        ref = Ref(cluster, "cluster", cluster)
        await publish(bus, make_health(ref=ref, level="critical", aggregate=Aggregate("critical", {})))


@pytest.fixture
async def guarded(bus: Bus, tmp_path: Path) -> AsyncIterator[Running]:
    """A gateway that asks for a token, and holds everything."""
    async with serving(bus, tokens_file=write(tmp_path / "tokens")) as gateway:
        await fill(bus)
        await caught_up(bus, gateway)
        await eventually(lambda: len(gateway.gateway.incidents.all()) == len(PLACES))
        await eventually(lambda: len(gateway.gateway.incidents.silences()) == len(PLACES))
        yield gateway


def questions(since: str) -> Iterable[tuple[str, dict[str, str]]]:
    """Every question, about every place."""
    given = {"diff": {"since": since}, "events": {"since": "-1h"}}
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
    """Those that take a time that has been."""
    for path in ("/api/v1/entities", "/api/v1/incidents", "/api/v1/metrics", "/api/db/metrics"):
        yield path, {"at": at}
    for each in PLACES:
        yield f"/api/v1/incidents/{incident_id(each)}", {"at": at, "of": each}
        for question in ("impact", "neighbours"):
            yield f"/api/v1/entities/{key_of_ref(pod(each))}/{question}", {"at": at}


async def test_no_answer_names_what_is_outside_of_the_scope(guarded: Running) -> None:
    since = datetime.now(UTC).isoformat()
    for identity, (_, sees) in TABLE.items():
        await ask_everything(guarded, identity, bearer(identity), sees, since)
    _, sees = TABLE["east-shop"]
    await ask_everything(guarded, "east-shop", cookie("east-shop"), sees, since)


async def ask_everything(
    guarded: Running, identity: str, headers: dict[str, str], sees: frozenset[str], since: str
) -> None:
    seen = set[str]()
    for path, params in questions(since):
        asked = places_in(f"{path} {params}")
        given = {name: each for name, each in params.items() if name != "of"}
        response = await guarded.client.get(path, params=given, headers=headers)
        if asked and not asked <= sees and "/search" not in path:
            assert response.status_code == 404, (path, params)
            # As for an id that does not exist: what was asked is repeated, and nothing else.
            assert places_in(response.text) <= sees | asked
            continue
        is_open = path != "/api/v1/pipeline" or sees == ALL
        assert response.status_code == (200 if is_open else 403), (path, params, response.text)
        found = places_in(response.text)
        if path == "/api/v1/silences":
            sees_silences = {each for each in sees if PLACES[each][1] or not TABLE[identity][0].namespaces}
            assert found == sees_silences, "one of all nodes is of what such a scope does not hold"
        assert found <= sees, (path, params)
        seen |= found
        assert not asked <= sees or found >= asked or "metrics" in path, (path, params)
    assert seen == sees


async def test_a_hidden_entity_and_one_that_does_not_exist_are_answered_alike(guarded: Running) -> None:
    hidden, missing = key_of_ref(pod("westbank")), key_of_ref(Ref("west", "pod", "xxxxxxxx-1", "bank"))
    for name in ("", "/health", "/history", "/impact", "/metrics", "/neighbours"):
        answers = [
            await guarded.client.get(f"/api/v1/entities/{each}{name}", headers=bearer("east-shop"))
            for each in (hidden, missing)
        ]
        assert [each.status_code for each in answers] == [404, 404]
        assert answers[0].text.replace(hidden, missing) == answers[1].text, name


async def test_every_count_is_over_what_the_scope_holds(guarded: Running) -> None:
    for identity, (_, sees) in TABLE.items():
        found = (await guarded.client.get("/api/v1/health", headers=bearer(identity))).json()
        assert (found["entities"], found["firing"]) == (len(sees), len(sees)), identity
        clusters = {each["cluster"] for each in found["clusters"]}
        whole = {"all": {"east", "west"}, "east": {"east"}, "e-star": {"east"}}
        assert clusters == whole.get(identity, set()), identity


@asynccontextmanager
async def following(
    gateway: Running, identity: str, path: str, last_id: str = "", **params: Any
) -> AsyncIterator[SseReader]:
    reader = SseReader()
    async with (
        httpx.AsyncClient(base_url=gateway.server.address, headers=bearer(identity), timeout=30) as client,
        running(reader.run(client, path, last_id=last_id, params=params)),
    ):
        await eventually(lambda: reader.is_ready or (path == EVENTS and "hello" in reader.names))
        yield reader


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


async def test_a_kept_answer_is_not_given_to_another_scope(guarded: Running) -> None:
    tags = {}
    for identity, (_, sees) in TABLE.items():
        response = await guarded.client.get("/api/v1/entities", headers=bearer(identity))
        assert places_in(response.text) == sees
        assert "authorization" in response.headers["vary"]
        assert "private" in response.headers["cache-control"]
        tags[identity] = response.headers["etag"]
    for mine in TABLE:
        for other, tag in tags.items():
            headers = {**bearer(mine), "if-none-match": tag}
            response = await guarded.client.get("/api/v1/entities", headers=headers)
            assert response.status_code == (304 if mine == other else 200), (mine, other)


async def test_no_tool_of_a_model_names_what_is_outside_of_the_scope(guarded: Running) -> None:
    for identity in ("all", "east-shop", "two", "nowhere"):
        _, sees = TABLE[identity]
        seen = set[str]()
        for name, question in QUESTIONS.items():
            fields = question.arguments.__struct_fields__
            for place in PLACES:
                key = key_of_ref(pod(place))
                given = {
                    "incident_id": incident_id(place),
                    "entity_id": key,
                    "source": key,
                    "target": key,
                    "q": place,
                    "since": "-1h",
                }
                text = await called(guarded, identity, name, {each: given[each] for each in fields if each in given})
                found = places_in(text)
                assert found <= sees | {place}, (identity, name)
                seen |= found - {place}
        assert seen <= sees
        assert seen == sees or len(sees) == 1


async def called(gateway: Running, identity: str, name: str, arguments: dict[str, str]) -> str:
    if name == "follow":
        arguments = {}
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": name.replace(".", "_"), "arguments": arguments},
    }
    response = await gateway.client.post("/mcp", json=message, headers=bearer(identity))
    assert response.status_code == 200, response.text
    text: str = response.json()["result"]["content"][0]["text"]
    return text


DOORS: Final = (
    *(("GET", path.replace("{entity_id}", "east.pod.shop.a").replace("{incident_id}", "a")) for path, _ in ROUTES),
    ("PUT", ACKNOWLEDGEMENT.replace("{incident_id}", "a")),
    ("DELETE", ACKNOWLEDGEMENT.replace("{incident_id}", "a")),
    ("PUT", SILENCE.replace("{cluster}", "east").replace("{silence_id}", "quiet")),
    ("DELETE", SILENCE.replace("{cluster}", "east").replace("{silence_id}", "quiet")),
    ("GET", IDENTITY),
    ("GET", ENTITIES),
    ("GET", EVENTS),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/nothing"),
    ("POST", "/mcp"),
)


async def test_no_door_opens_without_a_token_that_may_read(guarded: Running) -> None:
    for method, path in DOORS:
        for headers, status in (
            ({}, 401),
            (bearer("unknown"), 401),
            ({"authorization": "Bearer"}, 401),
            (bearer(digest_of("all")), 401),
            ({"authorization": "Basic YWxsOg=="}, 401),
            ({"authorization": "all"}, 401),
            (bearer("x" * 10_000), 401),
            (bearer("writer"), 403),
            (cookie("unknown"), 401),
            (cookie(digest_of("all")), 401),
            (cookie("writer"), 403),
            ({"cookie": "kgents-person=all"}, 401),
            ({**bearer("unknown"), **cookie("all")}, 401),
        ):
            response = await guarded.client.request(method, path, headers=headers)
            assert response.status_code == status, (method, path, headers)
            assert ("www-authenticate" in response.headers) == (status == 401)
            assert response.headers["content-type"] == "application/problem+json"
        assert (await guarded.client.request(method, path, params={"token": "all"})).status_code == 401


async def test_no_identity_decides_about_what_it_does_not_see(bus: Bus, guarded: Running) -> None:
    for identity, (token, sees) in TABLE.items():
        for place in PLACES:
            await decide_about(bus, guarded, identity, token, place, is_seen=place in sees)


async def decide_about(bus: Bus, guarded: Running, identity: str, token: Token, place: str, *, is_seen: bool) -> None:
    """Acknowledge, silence, and end both; refused as if it did not exist, and nothing is stored, where it is unseen."""
    cluster, namespace = PLACES[place]
    path = ACKNOWLEDGEMENT.replace("{incident_id}", incident_id(place))
    own = f"{identity}-{place}"
    silence_path = SILENCE.replace("{cluster}", cluster).replace("{silence_id}", own)
    field, value = ("namespace", namespace) if namespace else ("kind", "node")
    body = {"matchers": [{"field": field, "value": value}], "duration_s": 60, "reason": "x"}
    may_silence = is_seen and (bool(namespace) or not token.namespaces)
    before = await stored_of(bus)
    for headers, is_allowed in ((bearer(identity), False), (bearer(f"{identity}.w"), True)):
        for method, at, content, may in (
            ("PUT", path, {}, is_seen),
            ("DELETE", path, None, is_seen),
            ("PUT", silence_path, body, may_silence),
            ("DELETE", silence_path, None, may_silence),
        ):
            answer = await guarded.client.request(method, at, json=content, headers=headers)
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


async def test_a_silence_of_another_scope_is_neither_ended_nor_replaced(bus: Bus, guarded: Running) -> None:
    for place in PLACES:
        cluster, _ = PLACES[place]
        path = SILENCE.replace("{cluster}", cluster).replace("{silence_id}", f"quiet-{place}")
        if place == "eastshop":
            continue
        before = await stored_of(bus)
        assert (await guarded.client.delete(path, headers=bearer("east-shop.w"))).status_code == 404
        body = {"matchers": [{"field": "namespace", "value": "shop"}], "duration_s": 60, "reason": "x"}
        answer = await guarded.client.put(path, json=body, headers=bearer("east-shop.w"))
        assert answer.status_code == (409 if cluster == "east" else 404)
        assert await stored_of(bus) == before


async def test_a_scope_of_namespaces_silences_nothing_beyond_them(bus: Bus, guarded: Running) -> None:
    path = SILENCE.replace("{cluster}", "east").replace("{silence_id}", "mine")
    before = await stored_of(bus)
    for matchers in (
        [{"field": "name", "value": "*"}],
        [{"field": "namespace", "value": "*"}],
        [{"field": "namespace", "value": "sho*"}],
        [{"field": "namespace", "value": "bank"}],
        [{"field": "namespace", "value": "shop", "is_negated": True}],
        [{"field": "label.namespace", "value": "shop"}],
        [{"field": "incident", "value": incident_id("eastshop")}],
    ):
        body = {"matchers": matchers, "duration_s": 60, "reason": "x"}
        answer = await guarded.client.put(path, json=body, headers=bearer("east-shop.w"))
        assert (answer.status_code, "namespace=NAME" in answer.text) == (403, True), matchers
    assert await stored_of(bus) == before


async def test_over_nats_its_own_permissions_count(bus: Bus, guarded: Running) -> None:
    session = await bus.session()
    assert places_in((await session.request("world.infra.topology")).data.decode()) == ALL
    assert json.loads((await session.request("world.v1.health")).data)["entities"] == len(PLACES)


async def test_a_withdrawn_token_ends_its_streams_and_no_other(guarded: Running, tmp_path: Path) -> None:
    async with following(guarded, "all", ENTITIES), following(guarded, "shop", EVENTS):
        reader = SseReader()
        async with httpx.AsyncClient(base_url=guarded.server.address, headers=bearer("east"), timeout=30) as client:
            reading = asyncio.create_task(reader.run(client, ENTITIES))
            await eventually(lambda: reader.is_ready)
            assert len(guarded.gateway.connections) == 3
            write(tmp_path / "tokens", [each for each in BASE if each.name != "east"])
            with pytest.raises(httpx.RemoteProtocolError):
                await reading
            assert (await client.get("/api/v1/health")).status_code == 401
        assert len(guarded.gateway.connections) == 2
        assert (await guarded.client.get("/api/v1/health", headers=bearer("all"))).status_code == 200


async def test_a_scope_that_is_narrowed_ends_the_streams_of_the_wide_one(guarded: Running, tmp_path: Path) -> None:
    async with httpx.AsyncClient(base_url=guarded.server.address, headers=bearer("all"), timeout=30) as client:
        reader = SseReader()
        reading = asyncio.create_task(reader.run(client, ENTITIES))
        await eventually(lambda: reader.is_ready)
        write(tmp_path / "tokens", [Token("all", digest_of("all"), ("east",), ("shop",))])
        with pytest.raises(httpx.RemoteProtocolError):
            await reading
    async with following(guarded, "all", ENTITIES, last_id=reader.last_id) as again:
        assert places_in(" ".join(again.state)) == {"eastshop"}
        assert again.data("hello")[0]["mode"] == "snapshot"


async def test_a_new_token_is_accepted_and_an_old_one_refused_without_a_restart(
    guarded: Running, tmp_path: Path
) -> None:
    file = tmp_path / "tokens"

    async def status(name: str) -> int:
        return (await guarded.client.get("/api/v1/health", headers=bearer(name))).status_code

    async def is_accepted() -> bool:
        return await status("new") == 200

    async def is_refused() -> bool:
        return await status("all") == 401

    write(file, [*BASE, Token("new", digest_of("new"))])
    await eventually(is_accepted)
    async with following(guarded, "new", ENTITIES):
        write(file, [Token("new", digest_of("new"))])
        await eventually(is_refused)
        assert await status("new") == 200


async def test_one_token_may_not_open_all_streams(bus: Bus, tmp_path: Path) -> None:
    limits = LimitsConfig(streams=2)
    async with serving(bus, tokens_file=write(tmp_path / "tokens"), limits=limits) as gateway:
        async with following(gateway, "all", ENTITIES), following(gateway, "all", EVENTS):
            response = await gateway.client.get(ENTITIES, headers=bearer("all"))
            assert (response.status_code, response.headers["retry-after"]) == (429, "30")
            async with following(gateway, "east", ENTITIES):
                assert len(gateway.gateway.connections) == 3
        async with following(gateway, "all", ENTITIES):
            pass
