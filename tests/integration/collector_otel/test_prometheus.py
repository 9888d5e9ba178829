"""A real Prometheus that scrapes four meshes: what its query API gives."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from kgents_collector_otel.mapping.calls import Called
from kgents_collector_otel.mapping.edge_rules import EDGE_RULES
from kgents_collector_otel.mapping.scraped import Scraped
from kgents_collector_otel.source.prometheus import PrometheusSource, Read, asking
from kgents_shared.bus.config import Secret
from kgents_shared.runtime.clock import SystemClock
from support.exposition import shop, text
from support.ports import free_port
from support.prometheus import Prometheus, listening, target
from support.waiting import eventually

pytestmark = pytest.mark.integration

RULES = [rule for rules in EDGE_RULES.values() for rule in rules]
EDGES = {("web", "cart"): 12.0, ("web", "pay"): 4.0, ("web", "search"): 5.0, ("cart", "orders"): 4.0}
"""Requests a second of `exposition.shop`."""


def counting() -> Callable[[], str]:
    """The shop, in real time."""
    began_s = time.monotonic()
    return lambda: text(shop(time.monotonic() - began_s + 100))


def edges(found: Scraped) -> dict[tuple[str, str], Called]:
    """Those between two apps, in a window of a second."""
    return {
        (each.caller.name, each.callee.name): each
        for each in filter(None, found.calls.window(1.0))
        if each.caller is not None
    }


async def taken(into: Scraped, source: PrometheusSource) -> Read:
    read = await source.read(into.metrics)
    for labels, samples in read.series:
        into.take(labels, samples, SystemClock().now())
    return read


async def test_a_query_gives_the_edges_of_every_mesh_at_their_rates(tmp_path: Path) -> None:
    into = Scraped("c1", RULES)
    async with (
        target(counting()) as port,
        Prometheus(tmp_path, port) as server,
        asking(server.endpoint, SystemClock(), timeout_s=10.0) as source,
    ):

        async def all_edges() -> dict[tuple[str, str], Called] | None:
            read = await taken(into, source)
            assert read.faults == []
            found = edges(into)
            return found if found.keys() == EDGES.keys() else None

        found = await eventually(all_edges)
    assert {key: each.n for key, each in found.items()} == pytest.approx(EDGES, rel=0.05)
    assert found["web", "cart"].errors_client == pytest.approx(2.0, rel=0.05)
    assert {str(each.ref) for each, _ in filter(None, into.measured())} == {"container shop/cart-7f/cart"}


async def test_no_series_of_a_metric_is_no_fault_and_an_unusable_answer_is_one(tmp_path: Path) -> None:
    async with (
        target(lambda: "") as port,
        Prometheus(tmp_path, port) as server,
        asking(server.endpoint, SystemClock(), timeout_s=10.0) as source,
    ):
        assert await source.read(["istio_requests_total"]) == Read([], [])
        (fault,) = (await source.read(["no metric"])).faults
        assert fault == f"{server.endpoint}: the query for no metric failed; read the log of Prometheus"


async def test_an_answer_with_warnings_is_used_and_said_to_be_partial(tmp_path: Path) -> None:
    unreachable = f"http://127.0.0.1:{free_port()}/read"
    into = Scraped("c1", RULES)
    async with (
        target(counting()) as port,
        Prometheus(tmp_path, port, remote_read=unreachable) as server,
        asking(server.endpoint, SystemClock(), timeout_s=10.0) as source,
    ):

        async def some() -> list[str] | None:
            read = await taken(into, source)
            return read.faults if read.series else None

        faults = await eventually(some)
    assert faults[0] == f"{server.endpoint} answers {into.metrics[0]} with warnings: some of its data is missing"


async def test_a_server_that_is_away_is_said_once_and_asked_for_nothing_more() -> None:
    port = free_port()
    async with asking(f"http://127.0.0.1:{port}", SystemClock(), timeout_s=10.0) as source:
        read = await source.read(["one", "two"])
    assert read.series == []
    assert read.faults == [
        f"http://127.0.0.1:{port} is not reachable (Connection refused); is prometheus_endpoint right?"
    ]


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (200, "<html>login</html>", "expected an answer of Prometheus' query API, found another"),
        (401, "", "HTTP 401; set prometheus.token_file"),
        (503, "", "HTTP 503"),
        (200, '{"status":"success","data":{"resultType":"scalar","result":[]}}', ""),
    ],
)
async def test_what_another_server_answers_is_no_measurement(status: int, body: str, fault: str) -> None:
    tokens: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        tokens.append(request.headers.get("Authorization", ""))
        return web.Response(status=status, text=body)

    application = web.Application()
    application.router.add_post("/api/v1/query", answer)
    async with (
        listening(application) as port,
        asking(f"http://127.0.0.1:{port}", SystemClock(), timeout_s=10.0, token=Secret("Zx81")) as source,
    ):
        read = await source.read(["one"])
    assert tokens == ["Bearer Zx81"]
    assert read.series == []
    assert [fault in each and "Zx81" not in each for each in read.faults] == [True] * bool(fault)


async def test_a_server_that_does_not_answer_is_given_up_in_time() -> None:
    async def answer(_: web.Request) -> web.Response:
        await asyncio.get_running_loop().create_future()
        raise AssertionError("it never ends")

    application = web.Application()
    application.router.add_post("/api/v1/query", answer)
    async with listening(application) as port:
        endpoint = f"http://127.0.0.1:{port}"
        async with asking(endpoint, SystemClock(), timeout_s=0.2) as source:
            read = await source.read(["one", "two"])
    assert read.faults == [f"{endpoint}: no answer within 0.2 s; is it overloaded?"]
