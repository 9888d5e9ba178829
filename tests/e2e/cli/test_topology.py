import asyncio
import json
from datetime import UTC, datetime

import pytest
from nats.aio.client import Client

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health, Reason
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from support.kgents_command import Kgents, publish

CART = Ref("prod", "pod", "cart-7f", "shop")
NODE = Ref("prod", "node", "n3")
ELSEWHERE = Ref("lab", "database", "ledger")
NO_ARCHIVE = "archive: no archiver answers; try: kgents run archiver"


def entity(ref: Ref, status: str = "running", **fields: object) -> TopologyEntity:
    return TopologyEntity(text=f"{ref} is {status}", ref=ref, status=status, **fields)  # type: ignore[arg-type]


@pytest.fixture
async def shop(client: Client) -> Client:
    edges = [
        ResolvedConnection(kind="runs_on", peer=NODE),
        ResolvedConnection(kind="depends", peer=ELSEWHERE),
        ResolvedConnection(kind="routes", peer=Ref("prod", "service", "cart", "shop"), direction="in"),
    ]
    await publish(client, entity(CART, "failed", reason="OOMKilled", connections=edges))
    await publish(client, entity(NODE))
    await publish(client, entity(ELSEWHERE))
    reason = Reason(check="KG-101", text="It was killed for memory.", severity=0.8)
    await publish(client, Health(text="bad", ref=CART, score=0.2, level="critical", reasons=[reason]))
    return client


async def test_the_tree_shows_clusters_namespaces_entities_health_and_arrows(shop: Client, kgents: Kgents) -> None:
    code, out, err = await kgents("topology")
    assert (code, err) == (0, "")
    assert [line.rstrip() for line in out.splitlines()] == [
        "lab",
        "└── (no namespace)",
        "    └── ○ database ledger  running",
        "prod",
        "├── (no namespace)",
        "│   └── ○ node n3  running",
        "└── shop",
        "    └── ✖ pod cart-7f  failed  critical 0.20  It was killed for memory.",
        "        ├── → runs_on node n3",
        "        ├── → depends database ledger in lab",
        "        └── ← routes service shop/cart",
    ]


async def test_the_table_has_a_line_for_each_entity(shop: Client, kgents: Kgents) -> None:
    code, out, _ = await kgents("topology", "-o", "table", "--kind", "pod")
    heading, line = out.splitlines()
    assert code == 0
    assert heading.split() == ["CLUSTER", "KIND", "NAMESPACE", "NAME", "STATUS", "HEALTH", "AGE", "WHY"]
    assert line.split()[:7] == ["prod", "pod", "shop", "cart-7f", "failed", "critical", "0.20"]


async def test_json_is_the_messages_with_their_health(shop: Client, kgents: Kgents) -> None:
    code, out, _ = await kgents("topology", "-o", "json", "--cluster", "prod")
    assert code == 0
    assert {message["ref"]["name"]: message["status"] for message in json.loads(out)} == {
        "cart-7f": "failed",
        "n3": "running",
    }
    assert {
        message["ref"]["name"]: message["health"] and message["health"]["level"] for message in json.loads(out)
    } == {
        "cart-7f": "critical",
        "n3": None,
    }


async def test_several_kinds_may_be_given_by_any_of_their_names(shop: Client, kgents: Kgents) -> None:
    _, out, _ = await kgents("topology", "-o", "json", "--kind", "pods,no", "--kind", "db")
    assert {message["ref"]["kind"] for message in json.loads(out)} == {"pod", "node", "database"}


async def test_namespace_and_kind_narrow_it(shop: Client, kgents: Kgents) -> None:
    _, in_shop, _ = await kgents("topology", "-o", "json", "--namespace", "shop")
    assert [message["ref"]["name"] for message in json.loads(in_shop)] == ["cart-7f"]


async def test_what_is_gone_is_not_shown(shop: Client, kgents: Kgents) -> None:
    await publish(shop, entity(NODE, op="remove"))
    _, out, _ = await kgents("topology", "-o", "json", "--cluster", "prod")
    assert [message["ref"]["name"] for message in json.loads(out)] == ["cart-7f"]


async def test_an_empty_topology_leads_to_the_doctor(client: Client, kgents: Kgents) -> None:
    note = "no entity is published yet; see which collectors report with `kgents doctor`\n"
    assert await kgents("topology") == (0, "", note)


async def test_at_shows_the_state_as_it_was(shop: Client, kgents: Kgents) -> None:
    await asyncio.sleep(0.05)
    then = datetime.now(UTC).isoformat()
    await asyncio.sleep(0.05)
    await publish(shop, entity(CART, "running"))
    await publish(shop, entity(NODE, op="remove"))
    await publish(shop, entity(Ref("prod", "pod", "new", "shop")))

    code, out, err = await kgents("topology", "-o", "json", "--cluster", "prod", "--at", then)
    assert (code, err) == (0, "")
    assert {message["ref"]["name"]: message["status"] for message in json.loads(out)} == {
        "cart-7f": "failed",
        "n3": "running",
    }


async def test_at_says_when_an_entity_changed_too_often_to_know(shop: Client, kgents: Kgents) -> None:
    then = datetime.now(UTC).isoformat()
    for number in range(16):
        await publish(shop, entity(CART, "running", reason=str(number)))
    code, out, err = await kgents("topology", "-o", "json", "--cluster", "prod", "--at", then)
    assert code == 0
    assert [message["ref"]["name"] for message in json.loads(out)] == ["n3"]
    assert "1 entity changed too often" in err
    assert "kgents.topology.prod.pod.shop.cart-7f" in err


async def test_at_a_time_before_the_streams_says_so(shop: Client, kgents: Kgents) -> None:
    code, out, err = await kgents("topology", "-o", "json", "--at", "-1d")
    assert (code, json.loads(out)) == (0, [])
    streams, archive = err.splitlines()
    assert streams.startswith("topology, health, alert: nothing is known before ")
    assert streams.endswith(", when their streams were created")
    assert archive == NO_ARCHIVE


async def test_at_a_time_without_entities_says_what_there_is_now(client: Client, kgents: Kgents) -> None:
    then = datetime.now(UTC).isoformat()
    await publish(client, entity(CART))
    code, out, err = await kgents("topology", "--at", then)
    assert (code, out) == (1, "")
    assert err.startswith("kgents: no entity was published at ")


async def test_at_a_time_before_the_streams_is_no_case_for_doctor(shop: Client, kgents: Kgents) -> None:
    _, _, err = await kgents("topology", "--at", "-1d")
    assert err.splitlines()[1:] == [NO_ARCHIVE]
    assert "doctor" not in err


async def test_at_reaches_beyond_what_one_request_may_answer(client: Client, kgents: Kgents) -> None:
    for number in range(1_500):
        message = b'{"text":"","ref":{"cluster":"prod","kind":"pod","name":"p%d","namespace":"shop"}}' % number
        await client.publish(f"kgents.topology.prod.pod.shop.p{number}", message)
    await client.flush()
    await publish(client, entity(CART))  # acknowledged behind all the others
    code, out, _ = await kgents("topology", "-o", "json", "--at", "-0s")
    assert (code, len(json.loads(out))) == (0, 1_501)


async def test_at_reaches_beyond_the_bytes_of_one_answer(client: Client, kgents: Kgents) -> None:
    text = "x" * 500_000
    for number in range(20):
        await publish(client, TopologyEntity(text=text, ref=Ref("prod", "pod", f"p{number}", "shop")))
    code, out, err = await kgents("topology", "-o", "json", "--at", "-0s")
    assert (code, len(json.loads(out)), err) == (0, 20, "")


@pytest.mark.parametrize("time", ["yesterday", "2026-11-21T09:00:00", "2999-01-01T00:00:00Z", "-10"])
async def test_a_time_that_is_none_is_a_usage_error(time: str, kgents: Kgents) -> None:
    code, out, err = await kgents("topology", "--at", time)
    assert (code, out) == (2, "")
    assert "--at: expected a" in err
