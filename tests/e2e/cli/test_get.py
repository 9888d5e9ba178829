import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import pytest
from nats.aio.client import Client

from support.kgents_command import PROGRAM, Kgents, publish, result_of, start_kgents
from support.nats_server import NatsServer
from support.process import spawn_async
from support.shop import CART, NODE, WEB, entity
from support.waiting import within


def columns(out: str) -> list[dict[str, str]]:
    """The rows of one table by the headings of its columns; cells begin where their headings do."""
    heading, *rows = out.splitlines()
    starts = [at for at in range(len(heading)) if heading[at] != " " and (at == 0 or heading[at - 1] == " ")]
    ends = [*starts[1:], None]
    names = [heading[start:end].strip() for start, end in zip(starts, ends, strict=True)]
    return [
        dict(zip(names, (row[start:end].strip() for start, end in zip(starts, ends, strict=True)), strict=True))
        for row in rows
    ]


def names(out: str) -> list[str]:
    return [message["ref"]["name"] for message in json.loads(out)]


@pytest.mark.parametrize("kind", ["pod", "pods", "po", "Pods"])
async def test_pods_have_the_columns_that_kubectl_has_and_their_health(kind: str, shop: Client, kgents: Kgents) -> None:
    code, out, err = await kgents("get", kind)
    assert (code, err) == (0, "")
    assert columns(out) == [
        {
            "NAMESPACE": "shop",
            "NAME": "cart-7f",
            "READY": "1/2",
            "STATUS": "OOMKilled",
            "RESTARTS": "7",
            "AGE": "3h",
            "NODE": "n3",
            "HEALTH": "critical 0.40",
            "WHY": "It uses 97 % of its memory, more than 90 %.",
        },
        {
            "NAMESPACE": "shop",
            "NAME": "web-0",
            "READY": "-",
            "STATUS": "running",
            "RESTARTS": "0",
            "AGE": "3h",
            "NODE": "n3",
            "HEALTH": "healthy 1.00",
            "WHY": "",
        },
    ]


async def test_a_namespace_that_was_asked_for_is_no_column(shop: Client, kgents: Kgents) -> None:
    _, out, _ = await kgents("get", "pods", "-n", "shop")
    assert out.split()[0] == "NAME"


async def test_wide_has_more_columns(shop: Client, kgents: Kgents) -> None:
    _, out, _ = await kgents("get", "pods", "cart-7f", "-o", "wide")
    assert columns(out)[0]["IP"] == "10.0.0.7"


async def test_databases_and_streams_have_figures_of_their_last_pulse(shop: Client, kgents: Kgents) -> None:
    _, databases, _ = await kgents("get", "db", "orders")
    _, streams, _ = await kgents("get", "stream")
    assert columns(databases)[0]["PHASE"] == "degraded (blocked sessions)"
    assert columns(databases)[0]["CONNECTIONS"] == "90/100"
    assert columns(streams)[0]["MESSAGES"] == "1.2 M"
    assert columns(streams)[0]["SIZE"] == "48.1 MB"


async def test_several_kinds_are_a_table_each_with_the_kind_in_the_name(shop: Client, kgents: Kgents) -> None:
    _, out, _ = await kgents("get", "deploy,svc")
    services, deployments = sorted(out.split("\n\n"))[::-1]
    tables = {columns(table)[0]["NAME"] for table in (services, deployments)}
    assert tables == {"deployment/cart", "service/cart"}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["pods", "-l", "app=cart"], ["cart-7f"]),
        (["pods", "-l", "app in (cart,web),tier!=web"], ["web-0"]),
        (["all", "--level", "critical,warning"], ["orders", "cart-7f"]),
        (["all", "--source", "nats"], ["ORDERS"]),
        (["all", "--cluster", "lab"], ["ledger"]),
        (["pods", "cart-*"], ["cart-7f"]),
        (["pods", "shop/web-0"], ["web-0"]),
        (["pod/web-0"], ["web-0"]),
        (["container/cart-7f/main"], ["cart-7f/main"]),
        (["no,deploy"], ["cart", "n3"]),
    ],
)
async def test_flags_and_names_select(flags: Sequence[str], expected: list[str], shop: Client, kgents: Kgents) -> None:
    code, out, err = await kgents("get", *flags, "-o", "json")
    assert (code, err) == (0, "")
    assert names(out) == expected


async def test_json_is_the_stored_message_with_health_and_alerts(shop: Client, kgents: Kgents) -> None:
    _, out, _ = await kgents("get", "pod", "cart-7f", "-o", "json")
    (cart,) = json.loads(out)
    assert cart["text"] == "pod shop/cart-7f is failed"
    assert cart["health"]["reasons"][0]["check"] == "KG-102"
    assert [alert["check"] for alert in cart["alerts"]] == ["KG-102"]
    _, node, _ = await kgents("get", "deploy", "-o", "json")
    assert json.loads(node)[0]["health"] is None


async def test_yaml_says_the_same_as_json(shop: Client, kgents: Kgents) -> None:
    _, as_json, _ = await kgents("get", "pods", "-o", "json")
    _, as_yaml, _ = await kgents("get", "pods", "-o", "yaml")
    assert msgspec.yaml.decode(as_yaml) == json.loads(as_json)


async def test_a_name_can_be_given_to_the_next_command(shop: Client, kgents: Kgents) -> None:
    _, out, _ = await kgents("get", "pods", "-o", "name")
    assert out.splitlines() == ["pod/shop/cart-7f", "pod/shop/web-0"]
    code, again, _ = await kgents("get", out.splitlines()[0], "-o", "name")
    assert (code, again) == (0, "pod/shop/cart-7f\n")


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["podz"], "kinds here: container, database, deployment, nats_stream, node, pod, service; did you mean pod?"),
        (
            ["pods", "-n", "shap"],
            "--kind pod --namespace shap; namespaces here: $G, shop; did you mean shop?",
        ),
        (["pods", "crt-7f"], "did you mean cart-7f?"),
        (["all", "--source", "k9s"], "sources here: db, k8s, nats; did you mean k8s?"),
        (["jobs"], "no entity matches --kind job; kinds here: container"),
        (["pods", "-l", "app=none"], "no entity matches --kind pod --label app=none; see all with `kgents get all`"),
    ],
)
async def test_what_matches_nothing_says_why_and_what_there_is(
    flags: Sequence[str], why: str, shop: Client, kgents: Kgents
) -> None:
    code, out, err = await kgents("get", *flags)
    assert (code, out) == (1, "")
    assert why in err
    assert len(err.splitlines()) == 1
    code, out, _ = await kgents("get", *flags, "-o", "json")
    assert (code, json.loads(out)) == (1, [])


async def test_one_missing_name_or_kind_among_several_is_an_error_behind_the_others(
    shop: Client, kgents: Kgents
) -> None:
    code, out, err = await kgents("get", "pods", "cart-7f", "wob-0", "-o", "name")
    assert (code, out) == (1, "pod/shop/cart-7f\n")
    assert "no pod is named 'wob-0'" in err
    code, out, err = await kgents("get", "no,strem", "-o", "name")
    assert (code, out) == (1, "node/n3\n")
    assert "no entity is of kind 'strem'; did you mean" in err


async def test_nothing_published_is_no_error(client: Client, kgents: Kgents) -> None:
    code, out, err = await kgents("get", "all", "-o", "json")
    assert (code, json.loads(out)) == (0, [])
    assert "no entity is published yet" in err


async def test_at_shows_the_past(shop: Client, kgents: Kgents) -> None:
    await asyncio.sleep(0.05)
    then = datetime.now(UTC).isoformat()
    await asyncio.sleep(0.05)
    await publish(shop, entity(CART, "running"))
    await publish(shop, entity(WEB, op="remove"))
    _, past, _ = await kgents("get", "pods", "--at", then)
    _, present, _ = await kgents("get", "pods")
    assert [row["STATUS"] for row in columns(past)] == ["OOMKilled", "running"]
    assert [row["STATUS"] for row in columns(present)] == ["running"]


@pytest.mark.parametrize(
    "flags",
    [
        ["--level", "bad"],
        ["-l", "app=("],
        ["--at", "soon"],
        ["-w", "--at", "-1s"],
        ["-w", "-o", "yaml"],
        ["-A", "-n", "x"],
    ],
)
async def test_a_flag_that_makes_no_sense_is_a_usage_error(flags: list[str], kgents: Kgents) -> None:
    code, out, err = await kgents("get", "pods", *flags)
    assert (code, out) == (2, "")
    assert "expected" in err


async def test_what_is_no_entity_leads_to_the_command_that_lists_it(kgents: Kgents) -> None:
    code, out, err = await kgents("get", "events")
    assert (code, out) == (2, "")
    assert "try `kgents events`" in err


async def test_a_reader_that_leaves_a_pipe_is_no_error(shop: Client, server: NatsServer) -> None:
    process = await spawn_async(
        "bash",
        "-c",
        f"set -o pipefail; {PROGRAM} get all -A --nats {server.url} | head -1",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    result = await result_of(process)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("NAME")


async def test_watch_prints_what_is_there_and_then_every_change(shop: Client, server: NatsServer) -> None:
    process = await start_kgents("get", "pods,no", "-w", "--nats", server.url)
    assert process.stdout is not None
    async with within(20):
        there = [(await process.stdout.readline()).decode().split() for _ in range(4)]
        await publish(shop, entity(NODE, "failed", reason="NotReady"))
        changed = (await process.stdout.readline()).decode().split()
        await publish(shop, entity(WEB, op="remove"))
        removed = (await process.stdout.readline()).decode().split()
    process.terminate()
    await result_of(process)
    assert there[0] == ["NAME", "STATUS", "HEALTH", "WHY"]
    assert sorted(row[0] for row in there[1:]) == ["node/n3", "pod/shop/cart-7f", "pod/shop/web-0"]
    assert changed == ["node/n3", "NotReady", "healthy", "1.00", "NotReady"]
    assert removed == ["pod/shop/web-0", "removed"]


async def test_watch_as_json_is_a_message_a_line(shop: Client, server: NatsServer) -> None:
    process = await start_kgents("get", "pods", "-w", "-o", "json", "--nats", server.url)
    assert process.stdout is not None
    async with within(20):
        there = [json.loads(await process.stdout.readline()) for _ in range(2)]
        await publish(shop, entity(WEB, op="remove"))
        removed = json.loads(await process.stdout.readline())
    process.terminate()
    await result_of(process)
    assert {message["health"]["level"] for message in there} == {"critical", "healthy"}
    assert (removed["op"], removed["ref"]["name"]) == ("remove", "web-0")
