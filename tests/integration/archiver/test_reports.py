"""Reports about a time of which the streams have forgotten a part: a real NATS, a real PostgreSQL, real commands."""

import json
from datetime import UTC, datetime
from pathlib import Path

from kgents_archiver.config import Config
from kgents_archiver.store.database import Database
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.streams import StreamsConfig
from kgents_shared.contract.topology import Difference
from support.archive import archiving, until_level
from support.build import make_ref
from support.incidents import make_incident
from support.kgents_command import run_kgents
from support.nats_server import NatsServer
from support.state import make_health, make_topology, publish, remake
from support.waiting import eventually

CHANGES = StreamsConfig().history + 4


async def test_availability_and_review_reach_back_into_the_archive(
    bus: Bus, server: NatsServer, config: Config, database: Database, tmp_path: Path
) -> None:
    """Of a workload that changed more often than its stream remembers."""
    cart = make_ref("cart", kind="deployment")
    words = ("availability", "--since", "1h", "--by", "entity", "-o", "json", "--nats", server.url)
    async with archiving(bus, config, tmp_path):
        await eventually(lambda: _has_begun(database))
        for number in range(CHANGES):
            changed = [Difference("labels.version", f"v{number}", f"v{number + 1}")]
            topology = make_topology(ref=cart, changed=changed, changed_count=1)
            await publish(bus, topology, make_health(ref=cart, uid=str(number)))
        incident = make_incident(state="resolved", ref=cart, started_at=datetime.now(UTC))
        await (await bus.session()).request(incident.subject, encode(incident))
        await until_level(bus, database)
        await remake(bus, "KGENTS_INCIDENT")
        whole = json.loads((await run_kgents(*words)).out)
        _, out, _ = await run_kgents("review", "--at", "-0s", "-o", "json", "--nats", server.url)
        _, page, _ = await run_kgents("review", "--at", incident.id[:8], "-o", "html", "--nats", server.url)
    bare = json.loads((await run_kgents(*words)).out)
    change = {"name": "deployment/shop/cart", "count": CHANGES, "is_at_least": False}
    assert whole["changes"] == [change]
    assert bare["changes"] == [change | {"count": StreamsConfig().history, "is_at_least": True}]
    assert not any("only the last" in each for each in whole["remarks"])
    assert any("health: of 1 of 1 subjects only the last 16 messages are kept" in each for each in bare["remarks"])
    assert [each["groups"][0]["available_ratio"] for each in (whole, bare)] == [1.0, 1.0]
    [configured] = json.loads(out)
    assert "label version: v0 → v1" in configured["text"]
    assert page.startswith("<!doctype html>")
    assert "label version: v0 → v1" in page


async def _has_begun(database: Database) -> bool:
    async with database.snapshot() as connection:
        return bool(await connection.fetchval("select count(*) = 7 from kgents.epoch"))
