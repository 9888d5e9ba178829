"""Two notifiers, kill -9, SIGSTOP and a nats-server that dies: still one incident for each cause, never renamed."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import INCIDENT, encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.topology import TopologyEntity
from support.build import NOW, make_ref
from support.grouping import alert, entity, make_database, make_node, subject_of, workload
from support.nats_server import NatsServer
from support.service_process import ServiceProcess
from support.streams import keep_all, provision_streams, stored
from support.waiting import eventually

NODE, DATABASE = make_node("n1"), make_database("orders")
LONE, EFFECT = make_ref("lone-0"), make_ref("shop-0")
WORLD = [
    entity(NODE), entity(make_node("n2")), entity(DATABASE),
    *workload("cart", pods=4, node="n1"), *workload("shop", pods=3, node="n2", needs=[DATABASE]),
    *workload("lone", pods=1, node="n2"),
]  # fmt: skip
ON_NODE = [alert(make_ref(f"cart-{number}"), "KG-043", NOW) for number in range(4)]
NEEDS_DATABASE = [alert(make_ref(f"shop-{number}"), "KG-020", NOW) for number in range(3)]
CAUSES = {NODE: alert(NODE, "KG-044", NOW), DATABASE: alert(DATABASE, "KG-001", NOW)}
OF_ITS_OWN = alert(LONE, "KG-021", NOW)
EVERYTHING = [*ON_NODE, *NEEDS_DATABASE, *CAUSES.values(), OF_ITS_OWN]


async def publish(bus: Bus, *messages: Alert | TopologyEntity) -> None:
    for each in messages:
        await (await bus.session()).request(subject_of(each), encode(each))


async def history(bus: Bus) -> list[Incident]:
    """Every message of every incident, in order."""
    return [INCIDENT.decode(each.payload) for each in await stored(bus, "KGENTS_INCIDENT")]


async def is_so(bus: Bus, state: str, counts: dict[Ref, int]) -> bool:
    """Whether there is one incident of each of these roots, in this state, with so many entities."""
    last = {each.id: each for each in await history(bus)}
    found = {each.root.ref: each.affected_count for each in last.values() if each.state == state}
    return found == counts and len(last) == len(counts)


async def all_is_over(bus: Bus) -> bool:
    last = {each.id: each for each in await history(bus)}
    return sorted(each.root.ref for each in last.values() if each.state == "resolved") == sorted(
        [EFFECT, DATABASE, NODE, LONE]
    )


@pytest.mark.timeout(240)
async def test_each_cause_stays_one_incident(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats") as nats, Bus(NatsConfig(url=nats.url), name="test") as bus:
        await provision_streams(bus)
        await keep_all(bus, "KGENTS_INCIDENT")
        await publish(bus, *WORLD)
        config = settings(tmp_path)
        one = ServiceProcess("alert-notifier", nats.url, tmp_path, instance="one", config=config)
        two = ServiceProcess("alert-notifier", nats.url, tmp_path, instance="two", config=config)
        async with one, two:
            await publish(bus, *NEEDS_DATABASE[:2])
            await eventually(lambda: is_so(bus, "open", {EFFECT: 2}), 60)  # what causes it has not said so yet
            one.kill()
            two.kill()
            await publish(bus, *ON_NODE[:2], *CAUSES.values(), OF_ITS_OWN)  # no one sees effects without their cause
            one.start()
            await eventually(lambda: is_so(bus, "open", {EFFECT: 2, DATABASE: 1, NODE: 3, LONE: 1}), 60)
            two.start()
            nats.kill()
            await nats.start()
            await publish(bus, *NEEDS_DATABASE[2:])  # by now its cause is known
            await eventually(lambda: is_so(bus, "open", {EFFECT: 2, DATABASE: 2, NODE: 3, LONE: 1}), 60)
            one.pause()  # and wakes up as a zombie, when the other one has gone on
            await publish(bus, *ON_NODE[2:])
            await eventually(lambda: is_so(bus, "open", {EFFECT: 2, DATABASE: 2, NODE: 5, LONE: 1}), 90)
            one.resume()
            await publish(bus, *(structs.replace(each, state="resolved", ended_at=NOW) for each in EVERYTHING))
            await eventually(lambda: all_is_over(bus), 60)
            last = {each.root.ref: each for each in await history(bus)}
            assert last[EFFECT].parent == last[DATABASE].id
        judge(await history(bus))


def judge(messages: list[Incident]) -> None:
    """What was published is fixed: id, title, root and members; resolved is the last."""
    before: dict[str, Incident] = {}
    for each in messages:
        last = before.get(each.id)
        if last is not None:
            assert (each.title, each.root.ref, each.root.check) == (last.title, last.root.ref, last.root.check)
            assert last.state != "resolved", each
            assert each.revision >= last.revision
            assert each.state == "resolved" or set(last.members) <= set(each.members)
        before[each.id] = each


def settings(directory: Path) -> Path:
    file = directory / "kgents.yaml"
    own: dict[str, Any] = {"routes": [{"to": [], "wait_s": 3}], "grouping": {"calm_s": 3, "window_s": 7_200}}
    file.write_text(json.dumps({"alert-notifier": own}))
    return file
