"""What metrics and meshes measure, beside what spans count: nothing twice, nothing lost, nothing made up."""

from collections.abc import Iterable
from datetime import UTC
from pathlib import Path

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from kgents_collector_otel.config import Config, PrometheusConfig
from kgents_collector_otel.intake import Intake
from kgents_collector_otel.mapping.edge import App, Edge
from kgents_collector_otel.mapping.remote_write import V1
from kgents_collector_otel.mapping.resource import Instance
from kgents_collector_otel.mapping.scraped import NAME, Sample
from kgents_collector_otel.measurements import Measurements, edge_rules
from kgents_collector_otel.source.admission import MalformedRequestError
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.pulse import ResourcePulse, TrafficPulse
from kgents_shared.contract.section import InvalidSectionError
from kgents_shared.contract.vocabulary import edges
from kgents_shared.runtime.clock import unix_ns
from support.clock import FakeClock
from support.exposition import ISTIO, Series, shop
from support.otel_metrics import counter, request
from support.remote_write import PUBLISHED

pytestmark = pytest.mark.unit

TARGET = {"job": "mesh", "instance": "10.0.0.1:9090"}
WINDOW_S = 10.0


class Site:
    """A collector without its ports and without NATS."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        config = Config()
        self.apps = Intake(config, "c1", {}, self.clock).apps
        self.measurements = Measurements(config, "c1", self.apps, self.clock)

    def app(self, name: str, namespace: str = "shop") -> App:
        """One that sends spans."""
        found = self.apps._app(Instance(Ref("c1", "app", name, namespace), {}, "", namespace))
        assert found is not None
        found.seen_ns = unix_ns(self.clock.now()) + 1
        return found

    def scrape(self, series: Iterable[Series]) -> None:
        time_ns = unix_ns(self.clock.now())
        for name, labels, value in series:
            named = {NAME: name, **labels, **TARGET}
            self.measurements.scraped.take(named, [Sample(time_ns, value)], self.clock.now())

    async def scraped_twice(self) -> None:
        for seconds in (100, 110):
            self.scrape(shop(seconds))
            self.clock.advance(WINDOW_S)

    async def window(self) -> dict[tuple[str, str], Edge]:
        """The edges of a window that ends now."""
        await self.measurements.count(WINDOW_S)
        closed = self.apps.close(unix_ns(self.clock.now()))
        return {
            (window.app.ref.name, peer.ref.name): edge
            for window in closed
            for (_, peer, _), edge in window.edges.items()
            if isinstance(peer, App)
        }


async def test_what_a_mesh_counts_are_edges_and_requests_served() -> None:
    site = Site()
    await site.scraped_twice()
    await site.measurements.count(WINDOW_S)
    cart = site.apps.by_ref[Ref("c1", "app", "cart", "shop")]
    assert (cart.inbound.n, cart.inbound.errors) == pytest.approx((110.0, 10.0))
    assert cart.inbound.latency.n == 190
    (web,) = [each for each in site.apps.close(1) if each.app.ref.name == "web"]
    found = web.edges[edges.HTTP, cart, False]
    assert (found.n, found.errors_client, found.errors_server) == pytest.approx((120.0, 20.0, 10.0))
    assert found.weight == "known"


async def test_what_spans_have_counted_is_not_counted_again() -> None:
    site = Site()
    await site.scraped_twice()
    web, cart = site.app("web"), site.app("cart")
    site.apps.edge(web, edges.HTTP, cart, 1).clients_ms.append(3.0)
    cart.inbound.took_ms.append(2.0)
    await site.measurements.count(WINDOW_S)
    windows = {each.app: each for each in site.apps.close(1)}
    assert windows[cart].inbound.n == 1.0
    assert windows[web].edges[edges.HTTP, cart, False].n == 1.0


async def test_an_app_that_calls_itself_serves_and_has_no_edge() -> None:
    site = Site()
    labels = {**ISTIO, "source_canonical_service": "cart", "source_workload": "cart-v2"}
    for seconds in (100, 110):
        site.scrape([("istio_requests_total", labels, seconds)])
        site.clock.advance(WINDOW_S)
    await site.measurements.count(WINDOW_S)
    (window,) = site.apps.close(1)
    assert window.inbound.n == pytest.approx(10.0)
    assert window.edges == {}


async def test_an_app_without_a_namespace_is_the_one_of_its_name_if_there_is_only_one() -> None:
    site = Site()
    site.app("orders")
    await site.scraped_twice()
    assert {ref.namespace for ref in site.apps.by_ref if ref.name == "orders"} == {"shop"}
    await site.window()
    assert {ref.namespace for ref in site.apps.by_ref if ref.name == "orders"} == {"shop"}


async def test_while_prometheus_is_away_only_what_it_alone_knows_is_unread() -> None:
    site = Site()
    await site.scraped_twice()
    await site.window()
    site.app("cart")
    site.measurements._faults = ["http://p:9090: no answer within 10 s; is it overloaded?"]
    facts = await site.measurements.added_to(Facts())
    assert {(each.kind, each.name) for each in facts.unread} == {
        ("app", name) for name in ("web", "pay", "search", "orders")
    }
    assert {each.reason for each in facts.unread} == set(site.measurements._faults)
    site.measurements._faults = []
    assert list((await site.measurements.added_to(Facts())).unread) == []


async def test_containers_have_a_pulse_when_something_new_came() -> None:
    site = Site()
    await site.scraped_twice()
    (pulse,) = (await site.measurements.added_to(Facts())).pulses
    assert isinstance(pulse, ResourcePulse)
    assert pulse.ref == Ref("c1", "container", "cart-7f/cart", "shop")
    assert list((await site.measurements.added_to(Facts())).pulses) == []


async def test_figures_of_an_app_are_in_the_pulse_of_its_traffic() -> None:
    site = Site()
    for value in (0.0, 1.0):
        site.clock.advance(WINDOW_S)
        seconds = site.clock.now().timestamp()
        await site.measurements.take(request(cpu(value, seconds)))
    at = site.clock.now().astimezone(UTC)
    app = Ref("c1", "app", "cart", "shop")
    traffic = TrafficPulse(ref=app, source="otel", timestamp=at, interval_s=10.0, custom={"requests_per_sec": 2.0})
    (pulse,) = (await site.measurements.added_to(Facts(pulses=[traffic]))).pulses
    assert isinstance(pulse, TrafficPulse)
    assert pulse.custom == {"requests_per_sec": 2.0, "process_cpu_percent": pytest.approx(10.0)}
    assert pulse.read_at == {}
    assert app in site.apps.by_ref


async def test_a_figure_of_spans_stays_while_the_metrics_do_not_know_it() -> None:
    site = Site()
    site.clock.advance(WINDOW_S)
    await site.measurements.take(request(cpu(1.0, site.clock.now().timestamp())))
    app, at = Ref("c1", "app", "cart", "shop"), site.clock.now().astimezone(UTC)
    custom: dict[str, float | None] = {"process_cpu_percent": 7.0}
    traffic = TrafficPulse(ref=app, source="otel", timestamp=at, interval_s=10.0, custom=custom)
    (pulse,) = (await site.measurements.added_to(Facts(pulses=[traffic]))).pulses
    assert pulse.custom == {"process_cpu_percent": 7.0}


async def test_a_fault_is_shown_while_it_lasts_and_two_minutes_longer() -> None:
    site = Site()
    site.measurements.scraped.nameless["labelsContext"] += 1
    assert site.measurements.faults() == ["series name neither side of a call: set labelsContext"]
    site.clock.advance(119)
    assert site.measurements.faults()
    site.clock.advance(1)
    assert site.measurements.faults() == []


@pytest.mark.parametrize(
    ("metric", "is_missed"), [("istio_request_duration_milliseconds", True), ("other_seconds", False)]
)
async def test_native_histograms_that_a_rule_would_need_are_named(metric: str, is_missed: bool) -> None:
    histogram = PUBLISHED["WriteRequest"]()
    series = histogram.timeseries.add()
    series.labels.add(name=NAME, value=metric)
    series.histograms.add(count_int=1)
    site = Site()
    outcome = await site.measurements.take_written(V1, histogram.SerializeToString())
    assert outcome.rejected == 0
    assert ["always_scrape_classic_histograms" in each for each in site.measurements.faults()] == [True] * is_missed


async def test_what_is_no_request_is_malformed() -> None:
    with pytest.raises(MalformedRequestError):
        await Site().measurements.take(b"\xff\xff")


def test_rules_of_the_operator_are_checked_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidSectionError, match=r"rules\[0\]: expected one of hubble, istio"):
        PrometheusConfig(rules=["isto"])
    with pytest.raises(InvalidSectionError, match="prometheus_endpoint: expected a url"):
        Config(prometheus_endpoint="prometheus:9090")
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text('[[edge]]\nrequests = "x"\ncaller = {name = ["a"]}\ncallee = {name = ["b"]}\n')
    bad.write_text('[[edge]]\nrequests = "x"\nkind = "telepathy"\ncaller = {name = ["a"]}\ncallee = {name = ["b"]}\n')
    assert list(PrometheusConfig(files=[str(good)]).check()) == []
    assert [each.at for each in PrometheusConfig(files=[str(good), str(bad), "/no"]).check()] == [
        "files[1]",
        "files[2]",
    ]
    config = Config(prometheus=PrometheusConfig(rules=[], files=[str(good)]))
    assert [each.requests for each in edge_rules(config)] == ["x"]


def cpu(value: float, seconds: float) -> Metric:
    metric = counter("process.cpu.time", "s", value, 0.0)
    metric.sum.data_points[0].time_unix_nano = round(seconds * 1e9)
    return metric
