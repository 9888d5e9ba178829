"""What the gateway answers over HTTP, now and in the past."""

import gzip
from datetime import UTC, datetime, timedelta
from typing import Any

import zstandard

from kgents_gateway.http.routes import QUESTIONS
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Aggregate
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.view.entity import key_of_ref
from support.build import make_ref
from support.gateway import Running, caught_up
from support.state import edge, make_alert, make_event, make_health, make_topology, publish, removed
from support.waiting import eventually

NODE = Ref("local", "node", "n1")
DEPLOYMENT = Ref("local", "deployment", "cart", "shop")


async def shop(bus: Bus, gateway: Running) -> None:
    """A deployment owns two pods on one node; one of them is critical."""
    pods = [make_ref("cart-1"), make_ref("cart-2")]
    await publish(
        bus,
        make_topology(ref=NODE),
        make_topology(ref=DEPLOYMENT),
        *(
            make_topology(
                ref=pod, labels={"app": "cart"}, connections=[edge("runs_on", NODE), edge("owns", DEPLOYMENT, "in")]
            )
            for pod in pods
        ),
        make_health("cart-1"),
        make_health("cart-2", level="critical"),
        make_alert("cart-2"),
        make_health(
            ref=Ref("local", "cluster", "local"), level="critical", aggregate=Aggregate("critical", {"critical": 1})
        ),
    )
    await caught_up(bus, gateway)


def names(answer: dict[str, Any]) -> list[str]:
    return sorted(each["ref"]["name"] for each in answer["entities"])


async def test_the_topology_is_filtered_by_everything_a_selection_knows(bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    for params, expected in {
        "": ["cart", "cart-1", "cart-2", "n1"],
        "kinds=pod": ["cart-1", "cart-2"],
        "kinds=pods,node": ["cart-1", "cart-2", "n1"],
        "kinds=pods&kinds=no": ["cart-1", "cart-2", "n1"],
        "namespaces=": ["n1"],
        "labels=app%3Dcart,app!%3Dweb": ["cart-1", "cart-2"],
        "levels=critical": ["cart-2"],
        "names=cart-*": ["cart-1", "cart-2"],
        "sources=docker": [],
    }.items():
        answer = await gateway.get(f"/api/infra/topology?{params}")
        assert names(answer) == expected, params
        assert answer["count"] == len(expected)


async def test_more_than_the_limit_is_counted_and_not_listed(bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    answer = await gateway.get("/api/v1/entities?limit=1")
    assert (len(answer["entities"]), answer["count"]) == (1, 4)


async def test_pages_hold_every_entity_once_in_the_order_of_ids(bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    then = datetime.now(UTC) + timedelta(milliseconds=20)
    await eventually(lambda: datetime.now(UTC) > then)
    moments: tuple[dict[str, str], ...] = ({}, {"at": then.isoformat()})
    for at in moments:
        found: list[str] = []
        after = ""
        while after or not found:
            page = await gateway.get("/api/v1/entities", limit=3, after_id=after, **at)
            assert page["count"] == 4 - len(found)
            found += [each["id"] for each in page["entities"]]
            after = page["next"]
        assert found == sorted(key_of_ref(each) for each in (NODE, DEPLOYMENT, make_ref("cart-1"), make_ref("cart-2")))


async def test_the_mark_of_an_answer_continues_as_a_stream(bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    mark = (await gateway.get("/api/v1/entities"))["mark"]
    await publish(bus, make_topology("new"))
    await caught_up(bus, gateway)
    async with gateway.client.stream("GET", "/api/v1/stream/entities", params={"after": mark}) as response:
        text = b""
        async for chunk in response.aiter_bytes():
            text += chunk
            if b"event: ready" in text:
                break
    assert text.count(b"event: upsert") == 1
    assert b'"name":"new"' in text


async def test_an_answer_about_now_has_a_tag_until_something_changes(bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    first = await gateway.client.get("/api/v1/health")
    assert first.headers["etag"].startswith('W/"0-'), "another version may make another answer of the same"
    same = await gateway.client.get("/api/v1/health", headers={"if-none-match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    await publish(bus, make_health("cart-1", level="warning"))
    await caught_up(bus, gateway)
    new = await gateway.client.get("/api/v1/health", headers={"if-none-match": first.headers["etag"]})
    assert new.status_code == 200
    assert new.json()["levels"]["warning"] == 1


async def test_a_large_answer_is_compressed_as_the_client_accepts(bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    plain = (await gateway.client.get("/api/v1/entities", headers={"accept-encoding": "identity"})).content
    found = {}
    for encoding in ("gzip", "zstd"):
        request = gateway.client.build_request("GET", "/api/v1/entities", headers={"accept-encoding": encoding})
        response = await gateway.client.send(request, stream=True)
        assert response.headers["content-encoding"] == encoding
        found[encoding] = b"".join([chunk async for chunk in response.aiter_raw()])
        await response.aclose()
    assert gzip.decompress(found["gzip"])[:40] == plain[:40]
    assert zstandard.ZstdDecompressor().decompress(found["zstd"], max_output_size=10**6)[:40] == plain[:40]
    refused = await gateway.client.get("/api/v1/entities", headers={"accept-encoding": "gzip;q=0, zstd;q=0"})
    assert "content-encoding" not in refused.headers


async def test_one_entity_its_neighbours_and_what_depends_on_it(bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    pod, node = key_of_ref(make_ref("cart-2")), key_of_ref(NODE)
    assert (await gateway.get(f"/api/v1/entities/{pod}"))["health"]["level"] == "critical"
    health = await gateway.get(f"/api/v1/entities/{pod}/health")
    assert (health["level"], len(health["reasons"]), len(health["alerts"])) == ("critical", 1, 1)
    near = await gateway.get(f"/api/v1/entities/{node}/neighbours")
    assert [each["ref"]["name"] for each in near["entities"]] == ["cart-1", "cart-2"]
    assert (await gateway.get(f"/api/v1/entities/{node}/neighbours?depth=2"))["entities"][-1]["ref"]["name"] == "cart"
    impact = await gateway.get(f"/api/v1/entities/{node}/impact")
    assert (impact["lost"], impact["impaired"]) == (2, 1)
    way = await gateway.get(f"/api/v1/path?source={node}&target={key_of_ref(DEPLOYMENT)}")
    assert len(way["paths"]) == 2


async def test_the_health_of_everything_is_counted_over_the_same_entities(bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    found = await gateway.get("/api/infra/health")
    assert found["status"] == "critical"
    assert found["entities"] == sum(found["levels"].values()) == 4
    assert found["by_kind"]["pod"] == {"healthy": 1, "critical": 1}
    assert [each["cluster"] for each in found["clusters"]] == ["local"]
    assert found["firing"] == 1
    assert (await gateway.get("/api/infra/health?kinds=node"))["status"] == "unknown"


async def test_alerts_are_those_that_fire_unless_others_are_asked_for(bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    await publish(bus, make_alert("cart-1", state="resolved"))
    await caught_up(bus, gateway)
    assert [each["ref"]["name"] for each in (await gateway.get("/api/v1/alerts"))["alerts"]] == ["cart-2"]
    assert (await gateway.get("/api/v1/alerts?states=firing,resolved"))["count"] == 2


async def test_a_search_finds_what_a_person_types(bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    assert names(await gateway.get("/api/v1/search?q=cart-2")) == ["cart-2"]
    assert names(await gateway.get("/api/v1/search?q=po/shop/cart-1")) == ["cart-1"]


async def test_the_past_is_answered_and_compared(bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    then = datetime.now(UTC) + timedelta(milliseconds=20)
    await eventually(lambda: datetime.now(UTC) > then)
    await publish(bus, removed(make_topology("cart-1")), make_topology("cart-3"))
    await caught_up(bus, gateway)
    at = then.isoformat()
    old = (await gateway.client.get("/api/infra/topology", params={"at": at, "kinds": "pod"})).json()
    assert (names(old), old["mark"]) == (["cart-1", "cart-2"], "")
    found = (await gateway.client.get("/api/v1/diff", params={"since": at})).json()
    assert {each["ref"]["name"]: each["op"] for each in found["entities"]} == {"cart-1": "removed", "cart-3": "added"}
    history = await gateway.get(f"/api/v1/entities/{key_of_ref(make_ref('cart-1'))}/history")
    assert [each["is_removal"] for each in history if each["signal"] == "topology"] == [False, True]


async def test_events_are_the_newest_first(bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    await publish(
        bus,
        make_event("cart-1", number=1, severity="info"),
        make_event("cart-2", number=2),
        make_event("cart-2", number=3),
    )
    assert [each["text"][-1] for each in (await gateway.get("/api/v1/events?limit=2"))["events"]] == ["3", "2"]
    assert len((await gateway.get("/api/v1/events?severities=info"))["events"]) == 1
    assert len((await gateway.get("/api/v1/events?levels=critical"))["events"]) == 2


async def test_the_figures_of_one_entity_are_those_of_every_source_since_a_time(bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    now, session = datetime.now(UTC), await bus.session()
    for name, source, cpu in (
        ("cart-1", "k8s", 5.0),
        ("cart-1", "k8s", 7.0),
        ("cart-1", "otel", 9.0),
        ("cart-2", "k8s", 1.0),
    ):
        pulse = ResourcePulse(ref=make_ref(name), source=source, timestamp=now, interval_s=5.0, cpu_percent=cpu)
        await session.request(pulse.ref.subject("pulse", source=source), encode(pulse))
    found = await gateway.get(f"/api/v1/entities/{key_of_ref(make_ref('cart-1'))}/metrics?since=-5m")
    series = {each["source"]: each["values"] for each in found["series"]["cpu_percent"]}
    assert series == {"k8s": [5.0, 7.0], "otel": [9.0]}


async def test_an_unknown_id_is_a_problem_that_names_the_nearest(bus: Bus, gateway: Running) -> None:
    await shop(bus, gateway)
    response = await gateway.client.get(f"/api/v1/entities/{key_of_ref(make_ref('cart-9'))}")
    assert response.status_code == 404
    assert response.json()["title"] == "Not found"
    assert "cart-1" in response.json()["detail"]


async def test_a_request_to_another_name_is_refused(gateway: Running) -> None:
    response = await gateway.client.get("/api/v1/health", headers={"host": "evil.example"})
    assert response.status_code == 421
    for path, _ in QUESTIONS:
        assert (await gateway.client.post(path)).status_code == 405
    assert (await gateway.client.get("/api/v1/nothing")).status_code == 404
