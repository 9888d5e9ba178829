"""Drills on the stand-in for Qdrant; the README of collector-db has their times."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest

from kgents_collector_db.backends import Backends
from kgents_collector_db.targets.qdrant import QdrantTarget
from support.clock import FakeClock
from support.db_polls import INTERVAL_S, Polled, Polls
from support.drills import README, Drill, Expected, nothing, perform
from support.qdrant_stub import QdrantStub

MEDIUM_EVERY: Final = 6
"""Polls: `medium_interval_s` is 60 s by default."""
QUERY: Final = "/collections/{name}/points/query"
WINDOW: Final = 4 * MEDIUM_EVERY


class Site:
    """A peer of a cluster, polled as the service does it."""

    def __init__(self, stub: QdrantStub, polls: Polls, clock: FakeClock) -> None:
        self.stub = stub
        self._polls = polls
        self._clock = clock
        self._count = 0

    async def _poll(self) -> Polled:
        self._clock.advance(INTERVAL_S)
        self._count += 1
        is_medium = self._count % MEDIUM_EVERY == 0  # a drill begins right after one, which takes longest
        return await self._polls.poll(*(("fast", "medium") if is_medium else ("fast",)))

    def drill(self, **acts: Any) -> Drill:
        return Drill(**{"polls": self._polls, "poll": self._poll, "breaks": nothing, "repairs": nothing, **acts})


async def frozen(site: Site) -> Drill:
    async def breaks() -> None:
        site.stub.pause()

    async def repairs() -> None:
        site.stub.resume()

    return site.drill(breaks=breaks, repairs=repairs)


async def killed(site: Site) -> Drill:
    return site.drill(breaks=site.stub.stop, repairs=site.stub.start)


def of_collection(**info: Any) -> Any:
    async def set_up(site: Site) -> Drill:
        async def breaks() -> None:
            site.stub.add("docs", **info)

        async def repairs() -> None:
            site.stub.add("docs")

        return site.drill(breaks=breaks, repairs=repairs)

    return set_up


def of_cluster(**more: Any) -> Any:
    async def set_up(site: Site) -> Drill:
        async def breaks() -> None:
            site.stub.join_cluster(**more)

        async def repairs() -> None:
            site.stub.join_cluster()

        return site.drill(breaks=breaks, repairs=repairs)

    return set_up


def of_replicas(*states: str) -> Any:
    async def set_up(site: Site) -> Drill:
        async def breaks() -> None:
            site.stub.replicas["docs"] = [(0, peer, state) for peer, state in enumerate(states, 1)]

        async def repairs() -> None:
            del site.stub.replicas["docs"]

        return site.drill(breaks=breaks, repairs=repairs)

    return set_up


def of_requests(**more: Any) -> Any:
    async def set_up(site: Site) -> Drill:
        async def lasts() -> None:
            site.stub.request(QUERY, 30, **more)

        return site.drill(lasts=lasts)

    return set_up


async def recovery_mode(site: Site) -> Drill:
    async def breaks() -> None:
        site.stub.gauges["app_status_recovery_mode"] = 1

    async def repairs() -> None:
        site.stub.gauges["app_status_recovery_mode"] = 0

    return site.drill(breaks=breaks, repairs=repairs)


STOPPED: Final = {"consensus_thread_status": "stopped", "last_update": "2026-01-01T00:00:00Z"}
UNREACHABLE: Final = {"http://qdrant-2.qdrant:6335/": {"count": 9}}

DRILLS: Final = (
    Expected("it accepts connections and does not answer", frozen, "KG-001", 20, 10),
    Expected("it is killed", killed, "KG-001", 20, 10),
    Expected("a collection is red", of_collection(status="red"), "KG-361", 20, 30),
    Expected("a collection is grey", of_collection(status="grey"), "KG-362", 20, 30),
    Expected("an optimizer fails", of_collection(optimizer_status={"error": "no space"}), "KG-363", 20, 30),
    Expected("its cluster has no leader", of_cluster(leader=0), "KG-368", 20, 30),
    Expected("its consensus stopped", of_cluster(consensus_thread_status=STOPPED), "KG-369", 20, 30),
    Expected("it cannot reach a peer", of_cluster(message_send_failures=UNREACHABLE), "KG-370", 20, 30),
    Expected("a shard replica is dead", of_replicas("Active", "Dead"), "KG-366", 120, 180),
    Expected("a shard has no active replica", of_replicas("Dead", "Dead"), "KG-367", 120, 180),
    Expected("requests take 0.9 s", of_requests(seconds=0.9), "KG-364", 120, 60),
    Expected("requests fail", of_requests(status=500), "KG-365", 120, 60),
    Expected("it started in recovery mode", recovery_mode, "KG-373", 120, 180),
)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    clock = FakeClock()
    async with AsyncExitStack() as stack:
        stub = await stack.enter_async_context(QdrantStub())
        stub.add("docs")
        stub.join_cluster()
        backend = Backends(clock).of("vectors", QdrantTarget(url=stub.url, timeout_s=2.0))
        polls = await stack.enter_async_context(Polls(backend.open(), backend.observe, name="vectors"))
        yield Site(stub, polls, clock)


@pytest.mark.parametrize("expected", DRILLS, ids=lambda each: f"{each.title}, {each.check}")
async def test_drill_is_detected_and_cleared_in_time(expected: Expected, site: Site) -> None:
    times = await perform(await expected.set_up(site), expected.check, settled=WINDOW)
    assert times == (expected.detected_s, expected.cleared_s)


@pytest.mark.parametrize("expected", DRILLS, ids=lambda each: f"{each.title}, {each.check}")
def test_readme_has_the_times_of_every_drill(expected: Expected) -> None:
    assert expected.line in README.read_text()
