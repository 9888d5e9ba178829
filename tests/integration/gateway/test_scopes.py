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
from kgents_gateway.http.routes import QUESTIONS as ROUTES
from kgents_gateway.questions import QUESTIONS
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Aggregate
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.tokens import Token, digest_of
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from kgents_shared.view.entity import key_of_ref
from support.gateway import ENTITIES, EVENTS, Running, SseReader, caught_up, serving
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
BASE: Final = (*(token for token, _ in TABLE.values()), WRITER)


def pod(place: str) -> Ref:
    cluster, namespace = PLACES[place]
    return Ref(cluster, "pod" if namespace else "node", f"{place}-1", namespace)


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}"}


def write(file: Path, tokens: Iterable[Token] = BASE) -> Path:
    file.write_text("".join(f"{each}\n" for each in tokens))
    return file


def places_in(text: str) -> set[str]:
    return set(re.findall("|".join(PLACES), text))


NAMES: Final = " and ".join(pod(each).name for each in PLACES)


def peers(place: str) -> list[ResolvedConnection]:
    return [edge("depends_on", pod(other)) for other in PLACES if other != place]


def state(place: str, status: str) -> TopologyEntity:
    ref = pod(place)
    why: dict[str, Any] = {"peers": [NAMES], "why": NAMES}
    return make_topology(ref=ref, text=f"{ref} needs {NAMES}", status=status, connections=peers(place), attributes=why)


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
    for cluster in ("east", "west"):
        ref = Ref(cluster, "cluster", cluster)
        await publish(bus, make_health(ref=ref, level="critical", aggregate=Aggregate("critical", {})))


@pytest.fixture
async def guarded(bus: Bus, tmp_path: Path) -> AsyncIterator[Running]:
    """A gateway that asks for a token, and holds everything."""
    async with serving(bus, tokens_file=write(tmp_path / "tokens")) as gateway:
        await fill(bus)
        await caught_up(bus, gateway)
        yield gateway


def questions(since: str) -> Iterable[tuple[str, dict[str, str]]]:
    """Every question, about every place."""
    given = {"diff": {"since": since}, "events": {"since": "-1h"}}
    for path, name in ROUTES:
        needed = QUESTIONS[name].arguments.__struct_fields__
        if "entity_id" in needed:
            more = {"depth": "5"} if "depth" in needed else {}
            yield from ((path.replace("{entity_id}", key_of_ref(pod(each))), more) for each in PLACES)
        elif "source" in needed and "target" in needed:
            for source in PLACES:
                for target in PLACES:
                    yield path, {"source": key_of_ref(pod(source)), "target": key_of_ref(pod(target))}
        elif "q" in needed:
            yield from ((path, {"q": each}) for each in PLACES)
        else:
            yield path, given.get(name, {})
    yield "/api/v1/entities", {"at": since}


async def test_no_answer_names_what_is_outside_of_the_scope(guarded: Running) -> None:
    since = datetime.now(UTC).isoformat()
    for identity, (_, sees) in TABLE.items():
        await ask_everything(guarded, identity, sees, since)


async def ask_everything(guarded: Running, identity: str, sees: frozenset[str], since: str) -> None:
    seen = set[str]()
    for path, params in questions(since):
        response = await guarded.client.get(path, params=params, headers=bearer(identity))
        asked = places_in(f"{path} {params}")
        if asked and not asked <= sees and "/search" not in path:
            assert response.status_code == 404, (path, params)
            # As for an id that does not exist: what was asked is repeated, and nothing else.
            assert places_in(response.text) <= sees | asked
            continue
        is_open = path != "/api/v1/pipeline" or sees == ALL
        assert response.status_code == (200 if is_open else 403), (path, params, response.text)
        found = places_in(response.text)
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
            following(guarded, identity, ENTITIES, events=100) as entities,
            following(guarded, identity, EVENTS, last=100) as events,
        ):
            assert places_in(" ".join(entities.state)) == sees
            pipeline = entities.data("hello")[0]["pipeline"], events.data("hello")[0]["pipeline"]
            assert (pipeline == (None, None)) == (identity != "all"), "of all clusters"
            assert entities.data("ready")[0]["entities"] <= (len(sees) + 2 if sees else 0)
            for place in PLACES:
                cluster, namespace = PLACES[place]
                gone = make_topology(ref=Ref(cluster, "pod", f"{place}-gone", namespace), connections=peers(place))
                event = make_event(ref=pod(place), text=f"{identity}: {NAMES}", message=NAMES)
                await publish(bus, state(place, "pending"), gone, removed(gone), event)
            last = make_topology(ref=Ref("east", "pod", "last", "shop"))
            await publish(bus, last, removed(last), make_event(ref=pod("eastshop"), text=f"{identity}: last"))
            count = len(sees) + ("eastshop" in sees)
            await eventually(lambda: entities.names.count("remove") == count)  # noqa: B023 - awaited here
            await eventually(lambda: _texts(events).count(identity) == count)  # noqa: B023 - awaited here
            await eventually(lambda: _texts(entities).count(identity) == count)  # noqa: B023 - awaited here
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
                given = {"entity_id": key, "source": key, "target": key, "q": place, "since": "-1h"}
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
    *(("GET", path.replace("{entity_id}", "east.pod.shop.a")) for path, _ in ROUTES),
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
        ):
            response = await guarded.client.request(method, path, headers=headers)
            assert response.status_code == status, (method, path, headers)
            assert ("www-authenticate" in response.headers) == (status == 401)
            assert response.headers["content-type"] == "application/problem+json"
        assert (await guarded.client.request(method, path, params={"token": "all"})).status_code == 401


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
