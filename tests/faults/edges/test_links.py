"""A hub and two edges in network namespaces, with TLS and a key for each login: links, servers, keys, certificates."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from kgents_cli.alerting.author import user
from kgents_shared.bus import edges
from kgents_shared.bus.client import Bus
from kgents_shared.bus.sources import filter_of
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from support.audit import trail
from support.edge_site import EdgeSite, bus_of
from support.edge_traffic import SOURCED_S, answers, beat, busy, copied, is_cut, is_linked, report
from support.streams import stored
from support.waiting import eventually

pytestmark = pytest.mark.timeout(500)


async def test_a_cut_and_a_killed_hub_lose_nothing_and_keep_the_order(tmp_path: Path) -> None:
    async with (
        EdgeSite(tmp_path) as site,
        bus_of(site.login("reader")) as hub,
        bus_of(site.edges["A"].login("collector-docker"), "collector-docker", "A") as writer_a,
        bus_of(site.edges["B"].login("collector-docker"), "collector-docker", "B") as writer_b,
        bus_of(site.edges["A"].login("reader")) as reader_a,
        bus_of(site.edges["B"].login("reader")) as reader_b,
    ):
        for cluster, writer in (("A", writer_a), ("B", writer_b)):
            await report(writer, cluster, 0)
            await beat(writer, cluster)
        async with site.service("edge-sync"):
            await eventually(partial(is_linked, hub, "A"), within_s=30)
            async with busy(writer_a, "A"), busy(writer_b, "B"):
                before = await _samples(reader_a)
                site.edges["A"].cut()
                await eventually(partial(is_cut, hub, "A"), within_s=20)
                site.server.kill()
                await site.server.start()
                await eventually(partial(_has_samples, reader_a, before + 200), within_s=30)
                site.edges["A"].heal()
                await eventually(partial(is_linked, hub, "A"), within_s=40)
            await eventually(partial(is_linked, hub, "B"), within_s=40)
            for cluster, edge in (("A", reader_a), ("B", reader_b)):
                for signal in ("entity", "pulse", "event"):
                    await eventually(partial(copied, hub, edge, cluster, signal), within_s=SOURCED_S)


async def _samples(edge: Bus) -> int:
    return len(await stored(edge, NAME_BY_SIGNAL["pulse"], filter_of("pulse", "A")))


async def _has_samples(edge: Bus, count: int) -> bool:
    return await _samples(edge) >= count


async def test_a_key_is_rotated_and_revoked_and_the_old_one_is_refused(tmp_path: Path) -> None:
    async with (
        EdgeSite(tmp_path) as site,
        bus_of(site.edges["A"].login("collector-docker"), "collector-docker", "A") as writer,
        bus_of(site.edges["A"].login("reader")) as edge,
        bus_of(site.login("reader")) as hub,
        bus_of(site.login("auditor")) as auditor,
    ):
        await report(writer, "A", 0)
        await eventually(partial(copied, hub, edge, "A", "entity"), within_s=SOURCED_S)
        old = (site.edges["A"].directory / "leaf.conf").read_text()
        named = ("A", "--hub", site.hub, "--config", site.config)
        await site.run("edge", "rotate", *named, "--dir", site.edges["A"].directory)
        assert (site.edges["A"].directory / "leaf.conf").read_text() != old
        await site.edges["A"].server.reload()
        assert "is refused" in await site.run("edge", "rotate", *named, "--finish")
        await report(writer, "A", 1)  # over the new key
        await eventually(partial(copied, hub, edge, "A", "entity"), within_s=SOURCED_S)

        (site.edges["A"].directory / "leaf.conf").write_text(old)
        await site.edges["A"].server.reload()
        await eventually(site.edges["A"].is_refused, within_s=30)

        assert "no session of it is left" in await site.run("edge", "revoke", *named)
        assert "edges: [B]" in site.config.read_text()
        assert not [leaf for leaf in await site.leaves() if leaf == "edge-A"]
        assert "edge-B" in await site.leaves()  # every leaf's session has ended, and this one came back
        of_edge = [each for each in await trail(auditor) if each[0] in ("edge-rotate", "edge-revoke")]
        of = ("cli", user(), "edge A", "done")
        assert of_edge == [("edge-rotate", *of), ("edge-rotate", *of), ("edge-revoke", *of)]


async def test_an_expired_certificate_lets_no_edge_in_until_a_new_one_is_loaded(tmp_path: Path) -> None:
    async with (
        EdgeSite(tmp_path, names=["A"]) as site,
        bus_of(site.edges["A"].login("collector-docker"), "collector-docker", "A") as writer,
        bus_of(site.edges["A"].login("reader")) as edge,
    ):
        site.certify(not_after=datetime.now(UTC) - timedelta(minutes=1))
        site.server.kill()
        await site.server.start()
        await report(writer, "A", 0)
        log = site.edges["A"].server.log
        await eventually(lambda: "certificate has expired" in log.read_text(), within_s=30)
        site.certify()
        await site.server.reload()
        async with bus_of(site.login("edge-sync"), "edge-sync", "hub") as hub:
            session = await hub.session(timeout_s=20)
            await eventually(partial(answers, session, "A"), within_s=30)
            for stream in edges.STREAMS:
                await edges.cycle(session, "A", stream)
        async with bus_of(site.login("reader")) as hub:
            await eventually(partial(copied, hub, edge, "A", "entity"), within_s=SOURCED_S)
