"""Incidents, silences and who was notified: as answers through every door, and on the stream."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Affected, Incident, IncidentReason, Moment
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.silence import Matcher, Silence
from support.build import NOW, make_ref
from support.decisions import make_silence, stored
from support.gateway import ENTITIES, Running, SseReader, reading, serving
from support.incidents import make_incident
from support.state import make_topology, publish, remake
from support.waiting import eventually

POD = make_ref("cart-7f")


def id_of(number: int) -> str:
    return f"{number:016x}"


def many() -> list[Incident]:
    """Six: in every state, of both severities, in two clusters."""
    minute = timedelta(minutes=1)
    return [
        make_incident("a", id=id_of(1), severity="warning", started_at=NOW - 3 * minute),
        make_incident("b", id=id_of(2), started_at=NOW - 2 * minute),
        make_incident("c", id=id_of(3), started_at=NOW - minute),
        make_incident("d", id=id_of(4), state="acknowledged"),
        make_incident("e", id=id_of(5), state="resolved", ended_at=NOW),
        make_incident(ref=Ref("west", "node", "n1"), id=id_of(6), severity="warning", started_at=NOW - 9 * minute),
    ]


async def holds(gateway: Running, count: int) -> None:
    await eventually(lambda: len(gateway.gateway.incidents.all()) == count)


@pytest.fixture
async def filled(bus: Bus, gateway: Running) -> Running:
    await stored(bus, *many())
    await holds(gateway, 6)
    return gateway


async def test_incidents_are_listed_the_most_urgent_first(filled: Running) -> None:
    found = await filled.get("/api/v1/incidents")
    assert [int(each["id"], 16) for each in found["incidents"]] == [3, 2, 1, 6, 4]
    assert (found["count"], found["is_cut"]) == (5, False)
    assert found["by_state"] == {"open": 4, "acknowledged": 1, "resolved": 1}
    assert "members" not in found["incidents"][0]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"states": "resolved"}, [5]),
        ({"states": "open,resolved", "severities": "critical"}, [3, 2, 5]),
        ({"clusters": "w*"}, [6]),
        ({"kinds": "nodes"}, [6]),
        ({"namespaces": "shop", "names": "a,d"}, [1, 4]),
        ({"limit": "2"}, [3, 2]),
        ({"namespaces": "bank"}, []),
    ],
)
async def test_filters_select_by_the_cause(filled: Running, params: dict[str, str], expected: list[int]) -> None:
    found = await filled.get("/api/v1/incidents", **params)
    assert [int(each["id"], 16) for each in found["incidents"]] == expected
    assert found["is_cut"] is ("limit" in params)


async def test_what_is_affected_is_selected_too(bus: Bus, gateway: Running) -> None:
    affected = [Affected(ref=POD, severity="warning", checks=["KG-001"])]
    await stored(bus, make_incident("db", affected=affected, affected_count=1))
    await holds(gateway, 1)
    assert (await gateway.get("/api/v1/incidents", names=POD.name))["count"] == 1
    assert (await gateway.get("/api/v1/incidents", names="other"))["count"] == 0


async def test_one_incident_has_its_timeline_what_is_affected_and_who_knows_of_it(bus: Bus, gateway: Running) -> None:
    cause = make_incident(
        "db",
        revision=3,
        affected=[Affected(ref=POD, severity="critical", checks=["KG-001"])],
        affected_count=1,
        reasons=[IncidentReason(text="db does not answer", ref=make_ref("db"), check="KG-041", evidence="S:1")],
        timeline=[Moment(at=NOW, text="db does not answer."), Moment(at=NOW, text="Now critical.")],
        silenced_by=["quiet"],
        members=["one", "two"],
    )
    of: dict[str, Any] = {"cluster": cause.cluster, "incident": cause.id, "text": "-"}
    await stored(
        bus,
        cause,
        make_incident("web", id=id_of(7), parent=cause.id),
        Notice(receiver="ops", delivered=3, delivered_state="open", delivered_at=NOW, opened_at=NOW, **of),
        Notice(receiver="chat", delivered=1, delivered_state="open", failure="timeout", doubts=1, via="digest", **of),
        make_silence("quiet"),
        make_silence("other"),
    )
    await holds(gateway, 2)
    await eventually(lambda: len(gateway.gateway.incidents.silences()) == 2)
    await eventually(lambda: len(gateway.gateway.incidents.notices(cause)) == 2)
    found = await gateway.get(f"/api/v1/incidents/{cause.id}")
    incident = found["incident"]
    assert [each["text"] for each in incident["timeline"]] == ["db does not answer.", "Now critical."]
    assert incident["affected"][0]["ref"]["name"] == POD.name
    assert incident["root"]["ref"]["name"] == "db"
    assert incident["reasons"][0]["evidence"] == "S:1"
    assert "members" not in incident, "up to ten thousand names of alerts"
    chat, ops = found["receivers"]
    assert (ops["receiver"], ops["state"], ops["is_current"], ops["failure"]) == ("ops", "open", True, "")
    assert (chat["receiver"], chat["is_current"], chat["failure"], chat["is_in_digest"]) == (
        "chat",
        False,
        "timeout",
        True,
    )
    assert chat["may_be_doubled"] == 1
    assert [each["id"] for each in found["silences"]] == ["quiet"]
    assert [each["id"] for each in found["caused"]] == [id_of(7)]


async def test_an_unknown_incident_is_a_404_that_says_where_they_are(gateway: Running) -> None:
    answer = await gateway.client.get("/api/v1/incidents/5c0ffee5")
    assert answer.status_code == 404
    assert "GET /api/v1/incidents" in answer.json()["detail"]


async def test_silences_that_act_or_will_act_are_listed_the_next_to_end_first(bus: Bus, gateway: Running) -> None:
    now = datetime.now(UTC)

    def silence(id_: str, begins: float, ends: float) -> Silence:
        return make_silence(id_, starts_at=now + timedelta(hours=begins), ends_at=now + timedelta(hours=ends))

    await stored(bus, silence("later", 1, 3), silence("now", -1, 1), silence("over", -2, -1))
    await eventually(lambda: len(gateway.gateway.incidents.silences()) == 3)
    found = await gateway.get("/api/v1/silences")
    assert [each["id"] for each in found["silences"]] == ["now", "later"]
    assert (await gateway.get("/api/v1/silences", clusters="west"))["count"] == 0


async def test_a_silence_that_is_ended_and_an_incident_that_is_removed_are_gone(bus: Bus, gateway: Running) -> None:
    incident, silence = make_incident(), make_silence("quiet")
    await stored(bus, incident, silence)
    await holds(gateway, 1)
    await stored(bus, make_incident(op="remove"), make_silence("quiet", op="remove"))
    await holds(gateway, 0)
    await eventually(lambda: not gateway.gateway.incidents.silences())


async def test_the_mission_s_path_and_tools_answer_the_same(bus: Bus, filled: Running) -> None:
    expected = await filled.get("/api/v1/incidents")
    session = await bus.session()
    for subject in ("world.infra.health.incidents", "world.v1.incidents"):
        assert json.loads((await session.request(subject)).data) == expected
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "incidents", "arguments": {}}}
    result = (await filled.client.post("/mcp", json=call)).json()["result"]
    assert json.loads(result["content"][0]["text"]) == expected


async def test_what_looks_like_a_secret_is_masked(bus: Bus, gateway: Running) -> None:
    secret = "hunter2hunter2"
    matchers = [Matcher(field="name", value="cart")]
    note = f"see https://ada:{secret}@wiki/"
    await stored(bus, make_incident(title=note), make_silence("quiet", reason=note, matchers=matchers))
    await holds(gateway, 1)
    await eventually(gateway.gateway.incidents.silences)
    for path in ("/api/v1/incidents", "/api/v1/silences", f"/api/v1/incidents/{make_incident().id}"):
        answer = await gateway.client.get(path)
        assert answer.status_code == 200
        assert secret not in answer.text
        assert "wiki" in answer.text


async def test_the_stream_begins_with_the_incidents_and_has_every_change(bus: Bus, filled: Running) -> None:
    await publish(bus, make_topology("cart"))
    async with reading(filled, incidents=3) as reader:
        await eventually(lambda: "incidents" in reader.names)
        [first] = reader.data("incidents")
        assert [int(each["id"], 16) for each in first["incidents"]] == [3, 2, 1]
        assert first["count"] == 6, "also those that are resolved: their ends are to be seen"
        await stored(bus, make_incident("a", id=id_of(1), state="resolved", severity="warning", ended_at=NOW))
        await eventually(lambda: [each["state"] for each in reader.data("incident")] == ["resolved"])
        await stored(bus, make_incident("a", id=id_of(1), op="remove"))
        await eventually(lambda: len(reader.data("incident")) == 2)
        assert reader.data("incident")[1] == {"id": id_of(1), "cluster": POD.cluster, "op": "remove"}


async def test_a_stream_of_one_cluster_has_the_incidents_of_that_one(bus: Bus, filled: Running) -> None:
    async with reading(filled, incidents=10, clusters="west") as reader:
        await eventually(lambda: "incidents" in reader.names)
        assert [int(each["id"], 16) for each in reader.data("incidents")[0]["incidents"]] == [6]
        await stored(bus, make_incident("a", id=id_of(8)), make_incident(ref=Ref("west", "node", "n2"), id=id_of(9)))
        await eventually(lambda: reader.data("incident"))
        assert [int(each["id"], 16) for each in reader.data("incident")] == [9]


async def test_a_stream_without_the_wish_for_incidents_has_none(bus: Bus, filled: Running) -> None:
    async with reading(filled) as reader:
        await stored(bus, make_incident("a", id=id_of(8)))
        await publish(bus, make_topology("last"))
        await holds(filled, 7)
        await eventually(lambda: any("last" in each for each in reader.state))
        assert not {"incident", "incidents"} & set(reader.names)


async def test_a_client_that_continues_gets_them_all_again(bus: Bus, filled: Running) -> None:
    async with reading(filled, incidents=10) as reader:
        last_id = reader.last_id
    await stored(bus, make_incident("a", id=id_of(1), op="remove"))
    await holds(filled, 5)
    async with reading(filled, last_id=last_id, incidents=10) as again:
        await eventually(lambda: "incidents" in again.names)
        assert again.data("hello")[0]["mode"] == "resume"
        assert again.data("incidents")[0]["count"] == 5


async def test_a_stream_that_is_made_again_gives_all_again_to_its_clients(bus: Bus, filled: Running) -> None:
    async with reading(filled, incidents=10) as reader:
        await eventually(lambda: "incidents" in reader.names)
        await remake(bus, "KGENTS_INCIDENT")
        await stored(bus, make_incident("a", id=id_of(1)))
        await eventually(lambda: held(reader) == {id_of(1)})


def held(reader: SseReader) -> set[str]:
    """What a client holds that does what the events say."""
    found = set[str]()
    for each in reader.events:
        data: Any = json.loads(each.data) if each.data else None
        if each.event == "incidents":
            found = {one["id"] for one in data["incidents"]}
        elif each.event == "incident":
            found = found - {data["id"]} if data.get("op") == "remove" else found | {data["id"]}
    return found


async def test_a_message_that_cannot_be_read_stops_nothing(bus: Bus, gateway: Running) -> None:
    session = await bus.session()
    await session.request(make_incident(id=id_of(1)).subject, b'{"text": 7}')
    await stored(bus, make_incident("a", id=id_of(2)))
    await holds(gateway, 1)
    assert (await gateway.get("/api/v1/incidents"))["count"] == 1


async def test_a_gateway_that_starts_later_has_the_same(bus: Bus, filled: Running) -> None:
    expected = await filled.get("/api/v1/incidents", states="open,acknowledged,resolved")
    async with serving(bus) as later:
        assert await later.get("/api/v1/incidents", states="open,acknowledged,resolved") == expected
        assert (await later.client.get(ENTITIES, params={"incidents": "501"})).status_code == 400
