"""Links that swallow packets without a word, so that both servers believe in them: noticed, and nothing is lost."""

from functools import partial
from pathlib import Path

import pytest

from support.edge_site import DIRECTIONS, EdgeSite, bus_of
from support.edge_traffic import SOURCED_S, beat, busy, copied, is_cut, is_linked, report
from support.waiting import eventually

pytestmark = pytest.mark.timeout(500)


async def test_links_that_are_half_open_are_noticed_and_go_on_where_they_were(tmp_path: Path) -> None:
    """Of A only what comes in is lost, of B all."""
    async with (
        EdgeSite(tmp_path) as site,
        bus_of(site.edges["A"].login("collector-docker"), "collector-docker", "A") as writer_a,
        bus_of(site.edges["B"].login("collector-docker"), "collector-docker", "B") as writer_b,
        bus_of(site.edges["A"].login("reader")) as edge_a,
        bus_of(site.edges["B"].login("reader")) as edge_b,
        bus_of(site.login("reader")) as hub,
    ):
        sides = {"A": (writer_a, edge_a, ["INPUT"]), "B": (writer_b, edge_b, [*DIRECTIONS])}
        for name, (writer, _, _) in sides.items():
            await report(writer, name, 0)
            await beat(writer, name)
        async with site.service("edge-sync"):
            for name in sides:
                await eventually(partial(is_linked, hub, name), within_s=30)
            async with busy(writer_a, "A"), busy(writer_b, "B"):
                for name, (_, _, chains) in sides.items():
                    site.edges[name].swallow(*chains)
                for name in sides:
                    await eventually(partial(is_cut, hub, name), within_s=20)
                for name in sides:
                    site.edges[name].deliver()
                for name in sides:
                    await eventually(partial(is_linked, hub, name), within_s=SOURCED_S)
            for name, (_, edge, _) in sides.items():
                for signal in ("entity", "pulse", "event"):
                    await eventually(partial(copied, hub, edge, name, signal), within_s=SOURCED_S)
