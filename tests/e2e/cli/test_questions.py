"""Commands that answer one question each, on a small shop."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from nats.aio.client import Client

from kgents_shared.contract.alert import Alert
from kgents_shared.contract.event import Event
from support.kgents_command import Kgents, publish, result_of, start_kgents
from support.nats_server import NatsServer
from support.shop import CART, WEB, entity
from support.waiting import within


async def test_describe_shows_everything_of_one_entity(shop: Client, kgents: Kgents) -> None:
    code, out, err = await kgents("describe", "pod", "cart-7f")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:2] == ["pod shop/cart-7f in cluster prod", "status failed (OOMKilled)"]
    for line in (
        "KG-102 It uses 97 % of its memory, more than 90 %.",
        "evidence KGENTS_PULSE:17",
        "3/4 checks have the data they need",
        "cpu_percent 37.5 %",
        "memory_bytes 124 MB",
        "network_rx_bytes 10.2 kB/s",
        "memory_limit_ratio 97 %",
        "requests_per_sec 41.5 /s",
        "→ runs_on node n3",
        "→ owns container shop/cart-7f/main, container shop/cart-7f/proxy",
        "← owns deployment shop/cart",
        "← routes service shop/cart",
        "app cart",
        "kgents.k8s.pod.restart_count 7",
    ):
        assert line in lines
    assert any(line.startswith("firing critical KG-102") for line in lines)
    assert lines[lines.index("Events") + 1].endswith("critical Container main was killed for memory.")
    assert len(lines) - lines.index("History") == 4  # topology, health, alert


@pytest.mark.parametrize("words", [["pod/shop/cart-7f"], ["po", "cart-7f"], ["cart-7f"], ["pod", "shop/cart-7f"]])
async def test_describe_takes_a_name_however_it_is_written(words: list[str], shop: Client, kgents: Kgents) -> None:
    code, out, _ = await kgents("describe", *words)
    assert code == 0
    assert out.startswith("pod shop/cart-7f ")


async def test_describe_as_json_has_every_part(shop: Client, kgents: Kgents) -> None:
    _, out, _ = await kgents("describe", "pod", "cart-7f", "-o", "json")
    found = json.loads(out)
    assert found["entity"]["health"]["level"] == "critical"
    assert found["pulse"]["cpu_percent"] == 37.5
    assert {(each["direction"], each["kind"], each["peer"]["name"]) for each in found["connections"]} >= {
        ("in", "routes", "cart"),
        ("out", "runs_on", "n3"),
    }
    assert [each["reason"] for each in found["events"]] == ["OOMKilled"]
    assert [each["signal"] for each in found["history"]] == ["topology", "health", "alert"]


@pytest.mark.parametrize("command", ["describe", "history", "impact", "health"])
async def test_a_name_that_no_entity_has_says_what_was_meant(command: str, shop: Client, kgents: Kgents) -> None:
    code, out, err = await kgents(command, "pod/shop/crat-7f")
    assert (code, out) == (1, "")
    assert "did you mean pod/shop/cart-7f" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("kind", ["pods", "pod"])
async def test_describe_of_a_kind_alone_leads_to_the_list(kind: str, shop: Client, kgents: Kgents) -> None:
    code, out, err = await kgents("describe", kind)
    assert (code, out) == (1, "")
    assert err == f"kgents: expected a name, found the kind '{kind}' alone; `kgents get {kind}` lists them\n"


async def test_top_sorts_by_cpu_and_leaves_out_what_has_no_value(shop: Client, kgents: Kgents) -> None:
    code, out, err = await kgents("top")
    assert [line.split() for line in out.splitlines()] == [
        ["ENTITY", "CPU", "MEMORY", "LIMIT", "RX"],
        ["pod/shop/web-0", "150", "%", "48.1", "MB", "-", "-"],
        ["pod/shop/cart-7f", "37.5", "%", "124", "MB", "128", "MB", "10.2", "kB/s"],
    ]
    assert code == 0
    assert err == "other figures: `kgents top database` (also nats_stream)\n"


async def test_top_sorts_by_any_figure(shop: Client, kgents: Kgents) -> None:
    _, by_memory, _ = await kgents("top", "pods", "--sort", "memory")
    assert [line.split()[0] for line in by_memory.splitlines()[1:]] == ["pod/shop/cart-7f", "pod/shop/web-0"]
    _, custom, _ = await kgents("top", "pods", "--figures", "requests_per_sec,cpu")
    assert custom.splitlines()[0].split() == ["ENTITY", "REQUESTS-PER-SEC", "CPU"]
    assert custom.splitlines()[1].split() == ["pod/shop/cart-7f", "41.5", "/s", "37.5", "%"]


async def test_top_of_one_kind_has_its_own_figures(shop: Client, kgents: Kgents) -> None:
    _, out, _ = await kgents("top", "db")
    assert out.splitlines()[0].split() == ["ENTITY", "ACTIVE", "MAX", "USED-MB", "QPS"]
    assert out.splitlines()[1].split() == ["database/shop/orders", "90", "100", "851", "MB", "412", "/s"]


async def test_top_without_such_a_figure_says_what_there_is(shop: Client, kgents: Kgents) -> None:
    code, _, err = await kgents("top", "pods", "--sort", "memry_bytes")
    assert code == 1
    assert "did you mean memory_bytes?" in err


async def test_alerts_are_those_that_are_not_resolved_the_worst_first(shop: Client, kgents: Kgents) -> None:
    code, out, _ = await kgents("alerts")
    rows = [line.split() for line in out.splitlines()[1:]]
    assert code == 0
    assert [row[:5] for row in rows] == [
        ["critical", "firing", "pod/shop/cart-7f", "KG-102", "4m"],
        ["warning", "pending", "database/shop/orders", "KG-310", "4m"],
    ]
    _, everything, _ = await kgents("alerts", "--all", "-o", "json")
    assert [alert["state"] for alert in json.loads(everything)] == ["firing", "pending", "resolved"]
    _, selected, _ = await kgents("alerts", "-l", "app=cart", "-o", "json")
    assert [alert["check"] for alert in json.loads(selected)] == ["KG-102"]


async def test_no_alert_is_no_error(client: Client, kgents: Kgents) -> None:
    assert await kgents("alerts") == (0, "", "no alert is pending or firing\n")
    assert await kgents("alerts", "-o", "json") == (0, "[]\n", "")


async def test_alerts_are_followed(shop: Client, server: NatsServer) -> None:
    process = await start_kgents("alerts", "-w", "-n", "shop", "--nats", server.url)
    assert process.stdout is not None
    async with within(20):
        for _ in range(3):
            await process.stdout.readline()
        await publish(shop, Alert("It is ready again.", CART, "KG-102", "resolved", "critical"))
        line = (await process.stdout.readline()).decode()
    process.terminate()
    await result_of(process)
    assert line.endswith("healthy   It is ready again.\n")


async def test_alerts_are_followed_as_one_object_a_line(shop: Client, server: NatsServer) -> None:
    process = await start_kgents("alerts", "-w", "-o", "json", "--nats", server.url)
    assert process.stdout is not None
    async with within(20):
        there = [json.loads(await process.stdout.readline()) for _ in range(2)]
        await publish(shop, Alert("It is ready again.", CART, "KG-102", "resolved", "critical"))
        new = json.loads(await process.stdout.readline())
    process.terminate()
    await result_of(process)
    assert [*(alert["state"] for alert in there), new["state"]] == ["firing", "pending", "resolved"]


async def test_events_are_listed_for_all_or_for_one(shop: Client, kgents: Kgents) -> None:
    code, out, err = await kgents("events")
    assert (code, err) == (0, "")
    assert [line.split("  ")[-1] for line in out.splitlines()] == [
        "Container main was killed for memory.",
        "web-0 was scheduled on n3.",
    ]
    _, of_cart, _ = await kgents("events", "pod", "cart-7f", "-o", "json")
    assert [event["reason"] for event in json.loads(of_cart)] == ["OOMKilled"]
    _, by_label, _ = await kgents("events", "-l", "app=web", "-o", "json")
    assert [event["reason"] for event in json.loads(by_label)] == ["Scheduled"]


async def test_events_before_the_time_asked_for_are_left_out(shop: Client, kgents: Kgents) -> None:
    await asyncio.sleep(1.2)
    code, out, err = await kgents("events", "--since", "1s")
    assert (code, out) == (0, "")
    assert "no event since then" in err


async def test_events_are_followed(shop: Client, server: NatsServer) -> None:
    process = await start_kgents("events", "-w", "-o", "json", "--nats", server.url)
    assert process.stdout is not None
    async with within(20):
        there = [json.loads(await process.stdout.readline()) for _ in range(2)]
        now = datetime.now(UTC)
        await publish(shop, Event("It was killed again.", "3", CART, "k8s", "Warning", "OOMKilled", "error", now, now))
        new = json.loads(await process.stdout.readline())
    process.terminate()
    await result_of(process)
    assert ([event["id"] for event in there], new["id"]) == (["1", "2"], "3")


async def test_history_is_every_version_oldest_first(shop: Client, kgents: Kgents) -> None:
    await publish(shop, entity(WEB, "failed"))
    await publish(shop, entity(WEB, "running"))
    code, out, _ = await kgents("history", "pod/web-0", "-o", "json")
    statuses = [each["message"]["status"] for each in json.loads(out) if each["signal"] == "topology"]
    assert (code, statuses) == (0, ["running", "failed", "running"])


async def test_diff_lists_what_came_what_went_and_what_changed(shop: Client, kgents: Kgents) -> None:
    await asyncio.sleep(0.05)
    then = datetime.now(UTC).isoformat()
    await asyncio.sleep(0.05)
    await publish(shop, entity(WEB, op="remove"))
    await publish(shop, entity(CART.__class__("prod", "pod", "web-1", "shop")))
    await publish(shop, entity(CART, "running", uid="uid-cart", labels={"app": "cart", "tier": "web"}))
    code, out, _ = await kgents("diff", then, "--kind", "pod")
    lines = out.splitlines()
    assert code == 0
    assert [line for line in lines if not line.startswith(" ")] == [
        "~ pod/shop/cart-7f",
        "- pod/shop/web-0  running",
        "+ pod/shop/web-1  running",
    ]
    assert "    status: failed → running" in lines
    _, as_json, _ = await kgents("diff", then, "now", "-o", "json")
    assert {(each["op"], each["ref"]["name"]) for each in json.loads(as_json)} == {
        ("changed", "cart-7f"),
        ("removed", "web-0"),
        ("added", "web-1"),
    }


async def test_diff_takes_how_long_ago(shop: Client, kgents: Kgents) -> None:
    assert await kgents("diff", "-0s") == (0, "", "no difference\n")


async def test_path_shows_each_step(shop: Client, kgents: Kgents) -> None:
    code, out, _ = await kgents("path", "svc/cart", "orders", "--cluster", "prod", "-n", "shop")
    assert (code, out.splitlines()) == (
        0,
        ["service/shop/cart", "  ─ routes → pod/shop/cart-7f", "  ─ depends → database/shop/orders"],
    )
    _, back, _ = await kgents("path", "db/orders", "svc/cart")
    assert back.splitlines() == [
        "database/shop/orders",
        "  ← depends ─ pod/shop/cart-7f",
        "  ← routes ─ service/shop/cart",
    ]


async def test_no_path_is_an_error_and_an_empty_list(shop: Client, kgents: Kgents) -> None:
    code, out, err = await kgents("path", "svc/cart", "ledger", "-o", "json")
    assert (code, json.loads(out)) == (1, [])
    assert "service/shop/cart and database/ledger are not connected" in err


async def test_impact_distinguishes_lost_from_impaired(shop: Client, kgents: Kgents) -> None:
    code, out, _ = await kgents("impact", "node", "n3")
    rows = [tuple(line.split()[:2]) for line in out.splitlines()[1:]]
    assert code == 0
    assert rows[:2] == [("lost", "pod/shop/cart-7f"), ("lost", "pod/shop/web-0")]
    assert ("impaired", "service/shop/cart") in rows
    assert await kgents("impact", "svc/cart") == (0, "", "nothing depends on service/shop/cart\n")


async def test_health_can_be_asked_for_a_past_time(shop: Client, kgents: Kgents) -> None:
    await asyncio.sleep(0.05)
    then = datetime.now(UTC).isoformat()
    await asyncio.sleep(0.05)
    await publish(shop, entity(CART, op="remove"))
    await shop.jetstream().publish(CART.subject("health"), b'{"text":"","op":"remove","ref":%b}' % _json(CART))
    code, _, _ = await kgents("health", "pod/shop/cart-7f")
    assert code == 1
    code, out, _ = await kgents("health", "pod/shop/cart-7f", "--at", then)
    assert code == 0
    assert out.startswith("critical 0.40  pod shop/cart-7f")


async def test_health_of_a_selection(shop: Client, kgents: Kgents) -> None:
    _, out, _ = await kgents("health", "-l", "app=cart", "-o", "json")
    assert [each["ref"]["name"] for each in json.loads(out)] == ["cart-7f"]
    code, out, err = await kgents("health", "--kind", "podz", "-o", "json")
    assert (code, json.loads(out)) == (1, [])
    assert "did you mean pod?" in err


@pytest.mark.parametrize(
    "command",
    [
        ["get", "all"],
        ["describe", "pod", "cart-7f"],
        ["topology"],
        ["health"],
        ["top"],
        ["alerts"],
        ["events"],
        ["history", "pod", "cart-7f"],
        ["diff", "-0s"],
        ["path", "svc/cart", "db/orders"],
        ["impact", "node", "n3"],
    ],
    ids=lambda words: words[0],
)
async def test_every_answer_is_also_json_and_yaml(command: list[str], shop: Client, kgents: Kgents) -> None:
    code, out, err = await kgents(*command, "-o", "json")
    assert (code, err) == (0, "")
    json.loads(out)
    code, out, err = await kgents(*command, "-o", "yaml")
    assert (code, err) == (0, "")
    assert out


def _json(ref: object) -> bytes:
    return json.dumps({name: getattr(ref, name) for name in ("cluster", "kind", "name", "namespace")}).encode()


@pytest.mark.parametrize(
    ("words", "health"),
    [
        (("path", "cart-7f", "n3"), []),
        (("impact", "node", "n3"), []),
        (("describe", "pod", "cart-7f"), ["kgents.health.prod.pod.shop.cart-7f"]),
        (("impact", "node", "n3", "--level", "critical,healthy,warning,unknown"), ["kgents.health.*.*.*.*"]),
    ],
)
async def test_only_the_health_that_is_asked_for_is_read(
    words: tuple[str, ...], health: list[str], shop: Client, kgents: Kgents
) -> None:
    created = await shop.subscribe("$JS.API.CONSUMER.CREATE.KGENTS_HEALTH.>")
    code, _, err = await kgents(*words)
    assert code == 0, err
    await shop.flush()
    asked = [await created.next_msg() for _ in range(created.pending_msgs)]
    config = [json.loads(each.data)["config"] for each in asked]
    found = [each.get("filter_subjects") or [each["filter_subject"]] for each in config]
    # `describe` also shows how the entity changed, which it reads with another consumer.
    assert {filter_ for filters in found for filter_ in filters} == set(health)
