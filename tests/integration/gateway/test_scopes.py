"""Every identity at every door: what it may see, and not a name of anything else."""

import json
from datetime import UTC, datetime

from kgents_gateway.questions import QUESTIONS
from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.view.entity import key_of_ref
from support.gateway import Running
from support.in_scope import answers_stay_in_scope, ask_everything
from support.scopes import ALL, PLACES, TABLE, bearer, cookie, incident_id, places_in, pod


async def test_no_answer_names_what_is_outside_of_the_scope(guarded: Running) -> None:
    await answers_stay_in_scope(guarded, bearer)
    _, sees = TABLE["east-shop"]
    await ask_everything(guarded, "east-shop", cookie("east-shop"), sees, datetime.now(UTC).isoformat())


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


async def test_over_nats_its_own_permissions_count(bus: Bus, guarded: Running) -> None:
    session = await bus.session()
    assert places_in((await session.request("world.infra.topology")).data.decode()) == ALL
    assert json.loads((await session.request("world.v1.health")).data)["entities"] == len(PLACES)
