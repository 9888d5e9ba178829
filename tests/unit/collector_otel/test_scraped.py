"""Samples of Prometheus → who calls whom how often, and what containers use."""

from collections.abc import Iterable
from struct import pack, unpack

import pytest

from kgents_collector_otel.mapping.calls import Called
from kgents_collector_otel.mapping.edge_rules import EDGE_RULES
from kgents_collector_otel.mapping.scraped import NAME, STALE, Sample, Scraped
from kgents_shared.contract.codec import encode
from support.exposition import HUBBLE, ISTIO, Series, shop
from support.otel_metrics import at, nanoseconds

pytestmark = pytest.mark.unit

RULES = [rule for rules in EDGE_RULES.values() for rule in rules]
TARGET = {"job": "mesh", "instance": "10.0.0.1:9090"}


def scraped() -> Scraped:
    return Scraped("c1", RULES)


def take(into: Scraped, seconds: float, series: Iterable[Series]) -> None:
    for name, labels, value in series:
        into.take({NAME: name, **labels, **TARGET}, [Sample(nanoseconds(seconds), value)], at(seconds))


def edges(found: Scraped, seconds: float = 10.0) -> dict[tuple[str, str, str], Called]:
    return {
        (each.caller.name if each.caller is not None else "", each.callee.name, each.kind): each
        for each in filter(None, found.calls.window(seconds))
    }


def after(*times_s: float) -> Scraped:
    into = scraped()
    for seconds in times_s:
        take(into, seconds, shop(seconds))
    return into


def test_every_mesh_gives_its_edges() -> None:
    found = edges(after(100, 115))
    assert {key: round(each.n, 6) for key, each in found.items()} == {
        ("web", "cart", "http"): 120.0,
        ("", "cart", "http"): 10.0,
        ("web", "pay", "http"): 40.0,
        ("web", "search", "http"): 50.0,
        ("cart", "orders", "http"): 40.0,
        ("", "orders", "http"): 10.0,
    }


def test_errors_are_those_of_the_side_that_saw_them() -> None:
    found = edges(after(100, 115))
    istio, linkerd, graph = found["web", "cart", "http"], found["web", "pay", "http"], found["cart", "orders", "http"]
    assert (istio.errors_server, istio.errors_client) == pytest.approx((10.0, 20.0))
    assert (linkerd.errors_server, linkerd.errors_client) == pytest.approx((0.0, 10.0))
    assert (graph.errors_server, graph.errors_client) == pytest.approx((10.0, 0.0))


def test_latency_is_in_milliseconds_whatever_the_source_counts_in() -> None:
    found = edges(after(100, 115))
    istio, graph = found["web", "cart", "http"].server_ms, found["cart", "orders", "http"].server_ms
    linkerd = found["web", "pay", "http"].client_ms
    assert istio is not None and graph is not None and linkerd is not None  # noqa: PT018 - one claim
    assert (istio.n, graph.n, linkerd.n) == (190, 40, 30)
    assert 5 <= (istio.quantile(0.2) or 0.0) <= 10
    assert graph.quantile(0.5) == pytest.approx(50.0, rel=0.1)
    assert (linkerd.quantile(0.9) or 0.0) == pytest.approx(1.8, rel=0.1)


def test_the_first_samples_are_no_traffic() -> None:
    assert edges(after(100)) == {}


def test_a_counter_that_appears_beside_its_neighbours_began_at_zero() -> None:
    into = scraped()
    failing = {**ISTIO, "response_code": "500"}
    take(into, 0, [("istio_requests_total", ISTIO, 100.0)])
    take(into, 10, [("istio_requests_total", ISTIO, 110.0), ("istio_requests_total", failing, 4.0)])
    found = edges(into)["web", "cart", "http"]
    assert (found.n, found.errors_server) == pytest.approx((14.0, 4.0))


def test_a_counter_of_another_target_that_appears_does_not() -> None:
    into = scraped()
    take(into, 0, [("istio_requests_total", ISTIO, 100.0)])
    take(into, 10, [("istio_requests_total", ISTIO, 110.0)])
    name, labels = "istio_requests_total", {**ISTIO, "instance": "10.0.0.2:9090"}
    into.take({**TARGET, NAME: name, **labels}, [Sample(nanoseconds(10), 900.0)], at(10))
    assert edges(into) == {}


def test_a_counter_that_appears_long_after_its_neighbours_does_not_either() -> None:
    into = scraped()
    failing = {**ISTIO, "response_code": "500"}
    take(into, 0, [("istio_requests_total", ISTIO, 100.0)])
    take(into, 400, [("istio_requests_total", failing, 4.0)])
    assert [each for each in edges(into).values() if each.errors_server] == []


def test_a_histogram_whose_buckets_are_of_different_times_is_left_out() -> None:
    into = after(100, 110)
    bucket = {"le": "5", **ISTIO}
    take(into, 120, [("istio_request_duration_milliseconds_bucket", bucket, 0.0)])
    found = edges(into)["web", "cart", "http"]
    assert found.server_ms is not None
    assert found.server_ms.n == 10


def test_a_restart_leaves_the_edge_out_until_it_is_known_again() -> None:
    into = after(100, 110)
    take(into, 120, shop(0.5))
    assert edges(into) == {}
    take(into, 130, shop(1.5))
    assert edges(into)["web", "pay", "http"].n == pytest.approx(4.0)


def test_what_is_asked_for_again_adds_nothing() -> None:
    into = scraped()
    for _ in range(3):
        for seconds in (100, 110, 120):
            take(into, seconds, shop(seconds))
    assert edges(into)["web", "pay", "http"].n == pytest.approx(40.0)
    assert into.counts["repeated"] > into.counts["used"]


def test_no_requests_is_a_measured_zero_and_no_series_is_none() -> None:
    into = after(100, 110)
    assert edges(into)["web", "pay", "http"].n == pytest.approx(40.0)
    take(into, 120, shop(110))
    assert edges(into)["web", "pay", "http"].n == 0.0
    list(into.ended(at(120 + 31)))
    assert edges(into) == {}


def test_a_series_that_prometheus_ends_is_gone_and_goes_on_where_it_ended() -> None:
    into = after(100, 110)
    (stale,) = unpack("<d", STALE)
    assert pack("<d", stale) == STALE
    for name, labels, _ in shop(110):
        into.take({NAME: name, **labels, **TARGET}, [Sample(nanoseconds(120), stale)], at(120))
    assert edges(into) == {}
    assert list(filter(None, into.measured())) == []
    take(into, 130, shop(130))
    assert edges(into)["web", "pay", "http"].n == pytest.approx(40.0)


def test_containers_have_what_they_use_and_may_use() -> None:
    into = after(100, 110)
    (found,) = [each for each, _ in filter(None, into.measured())]
    pulse = found.pulse("otel", at(110))
    assert str(pulse.ref) == "container shop/cart-7f/cart"
    assert pulse.cpu_percent == pytest.approx(50.0)
    assert (pulse.memory_bytes, pulse.memory_limit_bytes, pulse.custom) == (90e6, 100e6, {"cpu_limit_percent": 200.0})


def test_series_that_name_no_one_say_what_to_configure() -> None:
    into = scraped()
    take(into, 0, [("hubble_http_requests_total", {"status": "200", "reporter": "server"}, 4.0)])
    assert [each.partition("=")[0] for each in into.nameless] == ["labelsContext"]
    named = scraped()
    take(named, 0, [("hubble_http_requests_total", HUBBLE, 4.0)])
    assert not named.nameless


def test_what_no_rule_reads_is_counted_and_never_published() -> None:
    into = after(100, 110)
    assert into.counts["unused"] > 0
    figures = [encode(each.pulse("otel", at(110))) for each, _ in filter(None, into.measured())]
    assert not [each for each in (*figures, repr(edges(into)).encode()) if b"canary" in each]


def test_values_that_no_counter_has_are_refused() -> None:
    into = after(100, 110)
    for value in (float("nan"), float("inf"), -1.0):
        take(into, 120, [("response_total", {"direction": "outbound", "deployment": "a", "dst_service": "b"}, value)])
    assert into.counts["refused"] == 3
    assert edges(into)["web", "pay", "http"].n == pytest.approx(40.0)
