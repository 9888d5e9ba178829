"""`kgents review` of an incident, as one reads it the day after."""

import json
from datetime import UTC, datetime

from nats.aio.client import Client

from kgents_shared.contract.codec import encode
from kgents_shared.contract.incident import Incident, Root
from kgents_shared.contract.topology import Difference
from support.kgents_command import Kgents, publish
from support.shop import CART, DEPLOYMENT, WEB, connection, entity

ID = "5c0ffee5c0ffee50"


async def test_what_was_released_before_an_incident_is_named_first(client: Client, kgents: Kgents) -> None:
    image = Difference("attributes.kgents.k8s.workload.images", ["main=cart:1"], ["main=cart:2"])
    for message in (
        entity(DEPLOYMENT),
        entity(CART, created_at=datetime.now(UTC), connections=[connection("owns", DEPLOYMENT, "in")]),
        entity(WEB),
        entity(DEPLOYMENT, changed=[image], changed_count=1),
        entity(WEB, "failed", changed=[Difference("status", "running", "failed")], changed_count=1),
        entity(WEB, op="remove", reason="deleted"),
    ):
        await publish(client, message)
    now = datetime.now(UTC)
    incident = Incident(
        text="t", title="cart is down", cluster="prod", id=ID, state="open", severity="critical", started_at=now,
        opened_at=now, changed_at=now, root=Root(ref=CART, check="KG-001", why="it is not ready"),
    )  # fmt: skip
    await client.jetstream().publish(incident.subject, encode(incident))

    code, out, err = await kgents("review", "--at", ID[:8], "-o", "json")
    assert code == 0
    found = json.loads(out)
    assert [(each["sort"], each["ref"]["name"], each["distance"]) for each in found[:2]] == [
        ("image", "cart", 0),
        ("appeared", "cart", 0),
    ]
    assert ("removed", None) in [(each["sort"], each["distance"]) for each in found]
    assert "unwell: pod/shop/cart-7f" in err

    code, out, _ = await kgents("review", "--at", ID, "--kind", "deploy")
    assert code == 0
    assert "another image (images: main=cart:1 → main=cart:2)" in out.splitlines()[1]
    assert "web-0" not in out
    code, _, err = await kgents("review", "--at", "abcdef")
    assert (code, "no incident abcdef" in err) == (1, True)
