"""Answers in pages: bounded, and what does not change is on one page exactly while other changes arrive."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.view import feed
from kgents_shared.view.entity import key_of_ref
from support.build import NOW, make_ref
from support.gateway import Running, caught_up
from support.state import edge, make_alert, make_event, make_topology, publish, remake


async def all_of(gateway: Running, path: str, name: str, bus: Bus, *, between: Any = None, **params: Any) -> list[Any]:
    """What all pages hold, joined."""
    found: list[Any] = []
    after, pages = "", 0
    while after or not pages:
        page = await gateway.get(path, after_id=after, **params)
        assert len(page[name]) <= params["limit"]
        assert page[name] or not after
        found += page[name]
        after, pages = page["next"], pages + 1
        if between is not None:
            await publish(bus, *between(pages))
    return found


@pytest.mark.parametrize(("stretch", "messages"), [(2_000, 10_000), (7, 10_000), (50, 9)])
async def test_pages_of_events_hold_each_one_once_while_others_are_stored(
    bus: Bus, gateway: Running, monkeypatch: pytest.MonkeyPatch, stretch: int, messages: int
) -> None:
    monkeypatch.setattr(feed, "STRETCH", stretch)
    monkeypatch.setattr(feed, "STRETCH_MESSAGES", messages)
    severities = ("info", "warning")
    await publish(bus, *(make_event(f"cart-{n % 3}", number=n, severity=severities[n % 2]) for n in range(100)))

    def between(page: int) -> list[Any]:
        return [make_event("cart-1", number=1_000 + page, severity="info")]

    asked: tuple[tuple[dict[str, str], range], ...] = (
        ({}, range(99, -1, -1)),
        ({"severities": "info"}, range(98, -1, -2)),
        ({"names": "cart-1"}, range(97, 0, -3)),
        ({"names": "cart-1", "severities": "info"}, range(94, 3, -6)),
        ({"names": "none"}, range(0)),
    )
    for params, expected in asked:
        found = await all_of(gateway, "/api/v1/events", "events", bus, between=between, limit=7, **params)
        texts = [int(each["text"].rpartition(" ")[2]) for each in found]
        assert [each for each in texts if each < 1_000] == list(expected), params


async def test_the_last_events_are_the_newest_ones_however_many_there_are(
    bus: Bus, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgents_gateway.questions.past.EVENTS_READ", 20)
    monkeypatch.setattr(feed, "STRETCH", 10)
    monkeypatch.setattr(feed, "STRETCH_GROWTH", 1)
    await publish(bus, make_event("rare", number=0), *(make_event("cart", number=n) for n in range(1, 100)))
    newest = await gateway.get("/api/v1/events", limit=3)
    assert [each["text"][-2:] for each in newest["events"]] == ["99", "98", "97"]
    page, pages = await gateway.get("/api/v1/events", names="rare", labels="!none"), 1
    assert (page["events"], page["next"]) == ([], "")  # there is no such entity, and no event of others is read
    page = await gateway.get("/api/v1/events", severities="critical")
    while page["next"]:
        assert page["events"] == []
        page = await gateway.get("/api/v1/events", severities="critical", after_id=page["next"], since=page["since"])
        pages += 1
    assert 4 <= pages <= 6  # so many events were read for each


async def test_a_page_of_another_stream_is_refused(bus: Bus, gateway: Running) -> None:
    await publish(bus, *(make_event("cart", number=n) for n in range(3)))
    next_ = (await gateway.get("/api/v1/events", limit=1))["next"]
    await remake(bus, "KGENTS_EVENT")
    await publish(bus, make_event("cart", number=9))
    for path, after_id in (("events", next_), ("events", "x"), ("alerts", "x"), ("alerts", "99-1-a")):
        refused = await gateway.client.get(f"/api/v1/{path}", params={"after_id": after_id, "limit": 1})
        assert (refused.status_code, "after_id" in refused.json()["detail"]) == (400, True), after_id


async def test_pages_of_alerts_begin_with_the_worst_and_hold_each_one_once(bus: Bus, gateway: Running) -> None:
    names = [f"p-{number:02}" for number in range(30)]
    await publish(
        bus,
        *(make_topology(name) for name in names),
        *(
            make_alert(name, severity=severity, check=check, started_at=NOW + timedelta(seconds=number % 7))
            for number, name in enumerate(names)
            for check, severity in (("KG-001", "critical"), ("KG-002", "warning"))
        ),
    )
    await caught_up(bus, gateway)

    def between(page: int) -> list[Any]:
        return [
            make_topology(f"new-{page}"),
            make_alert(f"new-{page}", started_at=NOW + timedelta(hours=1)),
            make_alert(names[0], state="resolved", severity="critical"),
        ]

    found = await all_of(gateway, "/api/v1/alerts", "alerts", bus, between=between, limit=7)
    kept = [(each["ref"]["name"], each["check"]) for each in found if not each["ref"]["name"].startswith("new")]
    assert len(kept) == len(set(kept))
    assert set(kept) >= {(name, check) for name in names[1:] for check in ("KG-001", "KG-002")}
    first = await gateway.get("/api/v1/alerts", limit=35)
    severities = [each["severity"] for each in first["alerts"]]
    assert severities == sorted(severities)  # critical, then warning
    started = [each["started_at"] for each in first["alerts"] if each["severity"] == "critical"]
    assert started == sorted(started, reverse=True)
    assert first["count"] >= 59
    assert (await gateway.get("/api/v1/alerts", names="p-05"))["count"] == 2


async def test_a_search_counts_all_that_it_found_and_gives_it_in_pages(bus: Bus, gateway: Running) -> None:
    await publish(bus, *(make_topology(f"cart-{number:03}") for number in range(150)))
    await caught_up(bus, gateway)
    first = await gateway.get("/api/v1/search", q="cart")
    assert (len(first["entities"]), first["count"]) == (100, 150)

    def between(page: int) -> list[Any]:
        return [make_topology(f"cart-new-{page}")]

    found = await all_of(gateway, "/api/v1/search", "entities", bus, between=between, limit=40, q="cart")
    names = [each["ref"]["name"] for each in found if "new" not in each["ref"]["name"]]
    assert names == [f"cart-{number:03}" for number in range(150)]


async def test_the_samples_of_an_answer_are_the_last_ones(
    bus: Bus, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "STRETCH", 7)
    await publish(bus, make_topology("cart"))
    begin = datetime.now(UTC) - timedelta(minutes=1)
    session = await bus.session()
    for number in range(50):
        for name in ("cart", "other"):
            ref, at = make_ref(name), begin + timedelta(seconds=number)
            sample = ResourcePulse(
                text="", ref=ref, source="k8s", timestamp=at, interval_s=1, cpu_percent=float(number)
            )
            await session.request(ref.subject("pulse", source="k8s"), encode(sample))
    await caught_up(bus, gateway)
    path = f"/api/v1/entities/{key_of_ref(make_ref('cart'))}/metrics"

    async def values(**params: Any) -> tuple[list[float], bool]:
        answer = await gateway.get(path, **params)
        [series] = answer["series"]["cpu_percent"]
        assert series["at"] == sorted(series["at"])
        return series["values"], answer["is_cut"]

    assert await values() == ([float(number) for number in range(50)], False)
    assert await values(limit=50) == ([float(number) for number in range(50)], False)
    assert await values(limit=10) == ([float(number) for number in range(40, 50)], True)


async def test_what_a_hub_reaches_is_counted_in_full_and_cut_to_what_fits(bus: Bus, gateway: Running) -> None:
    node = Ref("test", "node", "hub")
    pods = [make_ref(f"p-{number:03}") for number in range(300)]
    await publish(
        bus, make_topology(ref=node), *(make_topology(ref=pod, connections=[edge("runs_on", node)]) for pod in pods)
    )
    await caught_up(bus, gateway)
    for name in ("entity.impact", "entity.neighbours"):
        call = {"name": name.replace(".", "_"), "arguments": {"entity_id": key_of_ref(node)}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        result = (await gateway.client.post("/mcp", json=body)).json()["result"]
        assert not result["isError"], result
        found = json.loads(result["content"][0]["text"])
        assert found["is_cut"]
        assert 20 < len(found["entities"]) < 300
        assert found.get("lost", 300) == 300
    whole = await gateway.get(f"/api/v1/entities/{key_of_ref(node)}/neighbours")
    assert (len(whole["entities"]), len(whole["connections"]), whole["is_cut"]) == (300, 300, False)


async def test_the_last_figures_of_many_come_in_pages(bus: Bus, gateway: Running) -> None:
    session = await bus.session()
    refs = [make_ref(f"p-{number:02}") for number in range(30)]
    await publish(bus, *(make_topology(ref=ref, labels={"app": f"a{number % 2}"}) for number, ref in enumerate(refs)))
    for ref in refs:
        sample = ResourcePulse(
            text="", ref=ref, source="k8s", timestamp=datetime.now(UTC), interval_s=1, cpu_percent=1.0
        )
        await session.request(ref.subject("pulse", source="k8s"), encode(sample))
    await caught_up(bus, gateway)
    found = await all_of(gateway, "/api/v1/metrics", "entities", bus, limit=7)
    assert [each["id"] for each in found] == [key_of_ref(ref) for ref in refs]
    first = await gateway.get("/api/v1/metrics", labels="app=a1", limit=4)
    assert (first["count"], [each["id"] for each in first["entities"]]) == (
        15,
        [key_of_ref(each) for each in refs[1:8:2]],
    )
    assert await gateway.get("/api/db/metrics") == {
        "databases": [], "count": 0, "next": "", "comparisons": [], "remarks": []
    }  # fmt: skip
