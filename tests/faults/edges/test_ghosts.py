"""What expired at an edge during a cut never reaches the hub: comparing both sides finds and removes it."""

from functools import partial
from pathlib import Path

import pytest

from kgents_cli.alerting.author import user
from kgents_shared.bus import edges
from kgents_shared.bus.client import Bus
from kgents_shared.bus.edges import Difference
from kgents_shared.bus.jetstream import last_message, stream_info
from kgents_shared.bus.publish import TTL
from kgents_shared.bus.sources import filter_of
from kgents_shared.contract.codec import ENTITY, encode
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.wire import REMOVE
from support.audit import trail
from support.edge_site import EdgeSite, bus_of
from support.edge_traffic import SOURCE, SOURCED_S, answers, beat, container, copied, report
from support.streams import stored
from support.waiting import eventually

STREAM = NAME_BY_SIGNAL["entity"]

pytestmark = pytest.mark.timeout(500)


async def test_an_entity_whose_removal_expired_during_a_cut_is_removed_once_its_collector_attests(
    tmp_path: Path,
) -> None:
    async with (
        EdgeSite(tmp_path, names=["A"]) as site,
        bus_of(site.edges["A"].login("collector-docker"), "collector-docker", "A") as writer,
        bus_of(site.edges["A"].login("reader")) as edge,
        bus_of(site.login("edge-sync"), "edge-sync", "hub") as hub,
    ):
        for number in (0, 1):
            await report(writer, "A", number)
        reader = bus_of(site.login("reader"))
        async with reader:
            await eventually(partial(copied, reader, edge, "A", "entity"), within_s=SOURCED_S)
        site.edges["A"].cut()
        ghost = container("A", 1)
        removal = Entity(ref=ghost, source=SOURCE, op=REMOVE)
        subject = ghost.subject("entity", source=SOURCE)
        await (await writer.session()).request(subject, encode(removal), headers={TTL: "1s"})
        await eventually(partial(_holds, edge, 1), within_s=20)
        site.server.kill()  # else what was on its way when the line was cut arrives after all
        await site.server.start()
        site.edges["A"].heal()
        session = await hub.session(timeout_s=20)
        await eventually(partial(answers, session, "A"), within_s=30)
        for stream in edges.STREAMS:
            await edges.cycle(session, "A", stream)
        assert await edges.compare(hub, "A") == Difference((), (subject,), ()), "no one attests that it is gone"
        await beat(writer, "A")
        await eventually(partial(_finds, hub, Difference((subject,), (), ())), within_s=20)
        named = ("edge", "resync", "A", "--config", site.config)
        assert f"only at the hub: {subject}" in await site.run(*named, "--dry-run", login="edge-sync")
        with pytest.raises(AssertionError, match="are new or went back"):
            await site.run(*named, login="edge-sync")
        auditor = bus_of(site.login("auditor"))
        async with auditor:
            [resync] = [each for each in await trail(auditor) if each[0] == "edge-resync"]
        assert resync == ("edge-resync", "cli", user(), "edge A", "failed")
        kept = await last_message(session, STREAM, container("A", 0).subject("entity", source=SOURCE))
        assert await edges.remove(session, [subject]) == 1
        found = await last_message(session, STREAM, subject)
        assert found is not None
        assert ENTITY.decode(found.payload, subject=subject).is_removal
        assert await edges.remove(session, [subject]) == 0, "it is removed once"
        assert (await edges.compare(hub, "A")).gone == ()
        assert await last_message(session, STREAM, container("A", 0).subject("entity", source=SOURCE)) == kept


async def test_a_cycle_that_was_interrupted_is_finished_and_leaves_other_edges_alone(tmp_path: Path) -> None:
    async with EdgeSite(tmp_path) as site, bus_of(site.login("edge-sync"), "edge-sync", "hub") as hub:
        session = await hub.session(timeout_s=10)
        config = (await stream_info(session, STREAM)).config
        others = [each for each in config["sources"] if "$JS.A." not in each["external"]["api"]]
        await session.api(f"STREAM.UPDATE.{STREAM}", {**config, "sources": others}, dict)
        await edges.ensure(session, "A")
        found = (await stream_info(session, STREAM)).config["sources"]
        assert sorted(each["external"]["api"] for each in found) == ["$JS.A.API", "$JS.B.API"]
        assert others[0] in found


async def _holds(bus: Bus, count: int) -> bool:
    return len(await stored(bus, STREAM, filter_of("entity", "A"))) == count


async def _finds(bus: Bus, difference: Difference) -> bool:
    return await edges.compare(bus, "A") == difference
