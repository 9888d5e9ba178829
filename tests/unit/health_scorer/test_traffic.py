"""Connections are judged by their calls: errors, time on the way, latency, calls for each request; who is at fault."""

import pytest
from msgspec import structs

from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.figures import PAST_MAX
from kgents_health_scorer.reducer import Scorer
from kgents_health_scorer.traffic import Minute
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Edge
from kgents_shared.contract.pulse import EdgeSample, Inbound
from kgents_shared.contract.sketch import Histogram, Sketch
from support.health_inputs import at, entity, pulse
from support.traffic_inputs import CART, FRONTEND, POSTGRES, Shop, edge, histogram, served, traffic

pytestmark = pytest.mark.unit

SLOW = edge(client=260.0, server=4.0)
"""256 ms on the way."""
OTHER = Ref("c1", "app", "ads", "shop")


def test_until_it_knows_what_is_usual_it_says_so_and_finds_nothing() -> None:
    shop = Shop()
    assert set(shop.minutes(14, SLOW, inbound=served())) == {""}
    assert shop.health(FRONTEND).learning == ["KG-402", "KG-411", "KG-415", "KG-416"]
    shop.minute(SLOW, inbound=served())
    assert shop.health(FRONTEND).learning == []


def test_time_on_the_way_is_found_at_once_and_names_the_connection_and_both_values() -> None:
    shop = Shop().learns(edge())
    assert shop.minutes(2, SLOW) == ["KG-411", "KG-411"]
    text = "calls app shop/frontend → app shop/cart spend 245 ms on the way, usually 3.8 ms (416 calls)."
    (alert,) = [each for each in shop.published.alerts.values() if each.state == "firing"]
    assert alert.text == shop.text() == text
    assert alert.edge == shop.health(FRONTEND).reasons[0].edge == Edge("http", CART)
    assert (alert.severity, alert.ref) == ("warning", FRONTEND)


def test_it_ends_after_three_usual_minutes() -> None:
    shop = Shop().learns(edge())
    shop.minutes(3, SLOW)
    assert shop.minutes(3, edge()) == ["KG-411", "KG-411", ""]


def test_four_times_the_usual_needs_two_minutes_of_three() -> None:
    shop = Shop().learns(edge(client=24.0, server=4.0))
    shop.minutes(60, edge(client=24.0, server=4.0))
    assert shop.minutes(3, edge(client=114.0, server=4.0)) == ["", "KG-411", "KG-411"]


def test_a_slow_peer_is_a_finding_of_the_peer_and_not_of_the_way() -> None:
    shop = Shop()
    for _ in range(20):
        shop.minute(edge(client=8, server=4), inbound=served())
        shop.send(traffic(shop.now_s, inbound=served(latency=4.0), ref=CART))
    for _ in range(2):
        assert shop.minute(edge(client=254, server=250), inbound=served(latency=21)) == []
        shop.send(traffic(shop.now_s, inbound=served(latency=250.0), ref=CART))
    assert shop.checks(CART) == ["KG-402"]
    assert shop.text(CART) == "app shop/cart answers in 245 ms, usually in 3.8 ms (600 calls)."


def test_a_peer_without_spans_is_judged_by_what_its_client_sees() -> None:
    shop = Shop().learns(edge(POSTGRES, server=None, client=3.0))
    assert shop.minute(edge(POSTGRES, server=None, client=300.0)) == ["KG-412"]
    assert shop.text() == f"calls app shop/frontend → {POSTGRES} take 291 ms, usually 3 ms (416 calls)."


def test_errors_that_the_peer_did_not_make_are_those_of_the_way() -> None:
    shop = Shop()
    assert shop.minutes(2, edge(failed=50, answered_badly=2)) == ["", "KG-413"]
    assert shop.text() == "11.5 % of calls app shop/frontend → app shop/cart fail though the peer answers (416 calls)."
    shop = Shop()
    assert shop.minutes(3, edge(failed=50, answered_badly=50)) == ["", "", ""]


def test_two_errors_a_minute_are_a_rate_when_they_go_on() -> None:
    shop = Shop()
    few = served(20, errors=2)
    assert shop.minutes(4, inbound=few) == ["", "", "", "KG-401"]
    assert shop.text() == "app shop/frontend answers 10 % of 60 calls with an error (threshold 5 %)."
    again = shop.restart()
    assert again.minutes(4, inbound=few) == ["KG-401"] * 4
    assert again.minutes(3, inbound=served(20)) == ["KG-401", "KG-401", ""]
    assert Shop().minutes(4, edge(n=20, failed=2))[-1] == "KG-413"


def test_errors_of_which_there_were_more_before_are_no_rate() -> None:
    """A burst of one minute, and a few among very many."""
    shop = Shop()
    burst = [served(20, errors=4), served(20), served(20, errors=1), served(20), served(20, errors=1)]
    assert [shop.minute(inbound=each) for each in burst] == [[]] * 5
    assert set(shop.minutes(6, inbound=served(600, errors=2))) == {""}


def test_a_dead_dependency_is_critical_after_one_minute() -> None:
    shop = Shop().learns(edge())
    assert shop.minute(edge(n=40, server=None, failed=40)) == ["KG-414"]
    assert shop.health(FRONTEND).level == "critical"
    assert shop.text() == "100 % of calls app shop/frontend → app shop/cart fail (40 calls)."


def test_errors_of_its_own_are_a_finding_without_a_connection() -> None:
    shop = Shop()
    for _ in range(2):
        shop.minute(inbound=served(errors=90))
    assert shop.text() == "app shop/frontend answers 15 % of 600 calls with an error (threshold 5 %)."
    assert shop.health(FRONTEND).reasons[0].edge is None
    assert shop.health(FRONTEND).level == "warning"


def test_more_calls_for_each_request_are_found_and_more_requests_are_not() -> None:
    shop = Shop().learns(edge(n=600), inbound=served(600))
    assert set(shop.minutes(3, edge(n=9000), inbound=served(9000))) == {""}
    assert shop.minutes(2, edge(n=6000), inbound=served(600)) == ["", "KG-415"]
    assert shop.text() == (
        "app shop/frontend → app shop/cart: 10 calls for each request, usually 1 call (6,000 calls)."
    )


@pytest.mark.parametrize(
    ("now", "inbound"),
    [
        (edge(n=4, client=260.0), None),  # too few for a median
        (edge(n=7, server=None, failed=7), None),  # too few for a rate
        (edge(n=20, failed=1), None),  # one error a minute is no rate
        (edge(n=9, client=8.0), served(20)),
        (edge("other", server=None, client=900.0), None),
        (edge(n=416, client=12.0, server=4.0), None),  # twice, and 4 ms
        (edge(n=416, client=400.0, server=300.0), None),  # 100 ms of an answer of 300
        (structs.replace(edge(), gap_ms=structs.replace(histogram(256.0, n=380), negative=36)), None),
    ],
)
def test_what_says_too_little_is_no_finding(now: EdgeSample, inbound: Inbound | None) -> None:
    shop = Shop().learns(edge(), inbound=served())
    assert set(shop.minutes(4, now, inbound=inbound)) == {""}


def test_a_few_calls_need_two_minutes() -> None:
    shop = Shop().learns(edge(n=20))
    assert shop.minutes(2, edge(n=20, client=800.0)) == ["", "KG-411"]


def test_of_several_connections_the_worst_is_named_and_the_others_are_counted() -> None:
    shop = Shop().learns(edge(), edge(OTHER))
    shop.minutes(2, edge(client=100.0), edge(OTHER, client=900.0))
    (reason,) = shop.health(FRONTEND).reasons
    assert reason.edge == Edge("http", OTHER)
    assert reason.text.endswith("usually 3.8 ms (416 calls). The same holds for 1 more of its connections.")


def test_a_connection_stays_named_while_it_is_bad_and_then_the_other_one_is() -> None:
    shop = Shop().learns(edge(), edge(OTHER))
    shop.minutes(2, edge(client=100.0), edge(OTHER))
    shop.minutes(2, edge(client=100.0), edge(OTHER, client=900.0))
    assert shop.health(FRONTEND).reasons[0].edge == Edge("http", CART)
    shop.minutes(1, edge(), edge(OTHER, client=900.0))
    assert shop.health(FRONTEND).reasons[0].edge == Edge("http", OTHER)
    (alert,) = shop.published.alerts.values()
    assert (alert.edge, alert.state) == (Edge("http", OTHER), "firing")


def test_faults_of_three_connections_within_an_hour_are_not_one_that_comes_and_goes() -> None:
    peers = [Ref("c1", "app", name, "shop") for name in "abcd"]
    usual = [edge(each) for each in peers]
    shop = Shop().learns(*usual)
    for place in range(4):
        shop.minutes(2, *usual[:place], edge(peers[place], client=800.0), *usual[place + 1 :])
        assert shop.minutes(3, *usual)[-1] == ""
    for _ in range(3):
        shop.minutes(2, edge(peers[0], client=800.0), *usual[1:])
        shop.minutes(3, *usual)
    assert "app shop/frontend → app shop/a is unstable: calls slow on the way" in shop.text()


def test_a_connection_without_calls_keeps_its_finding_for_a_while_and_its_past_for_longer() -> None:
    shop = Shop().learns(edge())
    shop.minutes(2, SLOW)
    assert shop.minutes(4, inbound=served()) == ["KG-411"] * 4
    assert shop.minutes(2, inbound=served())[-1] == ""
    assert shop.minute(SLOW) == ["KG-411"]


def test_an_application_without_traffic_is_not_silent() -> None:
    shop = Shop().learns(edge())
    shop.tick(shop.now_s + 3600)
    assert shop.checks(FRONTEND) == []


@pytest.mark.parametrize("is_restarted", [False, True])
def test_what_was_found_of_one_that_falls_silent_is_not_known_any_more(is_restarted: bool) -> None:
    """As when it is scaled to zero: it may still be so, and no one can see it."""
    shop = Shop().learns(edge(), inbound=served())
    shop.minutes(2, SLOW, inbound=served(errors=600))
    shop.entity(entity(FRONTEND, "unknown", "Silent", sources=["otel"]), shop.now_s + 120)
    assert set(shop.checks(FRONTEND)) == {"KG-005", "KG-401", "KG-411"}
    shop = shop.restart() if is_restarted else shop
    shop.entity(entity(FRONTEND, "unknown", "Silent", sources=["otel"]), shop.now_s + 121)
    for _ in range(10):
        shop.now_s += 60
        shop.tick(shop.now_s)
    assert set(shop.checks(FRONTEND)) == {"KG-005", "KG-007"}
    assert shop.health(FRONTEND).level == "unknown"
    firing = {each.check for each in shop.published.alerts.values() if each.state == "firing"}
    assert firing == {"KG-007"}
    shop.entity(entity(FRONTEND, sources=["otel"]), shop.now_s)
    assert shop.minutes(7, inbound=served())[-1] == ""


def test_traffic_and_resources_of_one_source_are_two_sequences() -> None:
    shop = Shop().learns(edge())
    shop.minutes(2, SLOW)
    for step in range(3):
        shop.pulse(pulse(shop.now_s + 1 + step, FRONTEND, memory=0.9, source="otel"))
    assert set(shop.checks(FRONTEND)) == {"KG-101", "KG-411"}
    shop.send(traffic(shop.now_s + 5, SLOW, interval_s=60))
    assert set(shop.checks(FRONTEND)) == {"KG-101", "KG-411"}


def test_a_restarted_scorer_knows_what_is_usual_and_what_was_found() -> None:
    shop = Shop().learns(edge(), edge(POSTGRES, server=None), inbound=served())
    shop.minutes(2, SLOW, edge(POSTGRES, server=None), inbound=served())
    before = dict(shop.published.health), dict(shop.published.alerts)
    again = shop.restart()
    again.send(traffic(again.now_s, SLOW, edge(POSTGRES, server=None), inbound=served()))
    assert (again.published.health, again.published.alerts) == before
    assert again.minute(SLOW, edge(POSTGRES, server=None, client=400.0), inbound=served()) == ["KG-411", "KG-412"]
    assert again.minutes(3, edge(), edge(POSTGRES, server=None, client=400.0), inbound=served())[-1] == "KG-412"


def test_what_was_found_before_a_restart_ends_though_its_connection_is_gone() -> None:
    shop = Shop().learns(edge(), edge(OTHER))
    shop.minutes(2, SLOW, edge(OTHER))
    again = shop.restart()
    assert again.minutes(8, edge(OTHER))[-1] == ""


def two_kinds(quick: int, slow: int) -> Inbound:
    """Requests that take 3 ms, and others that take 60."""
    found = Sketch()
    found.add(3.0, quick)
    found.add(60.0, slow)
    return Inbound(n=found.n, spans=found.n, latency_ms=found.histogram())


def test_the_median_that_few_calls_have_by_chance_is_no_finding() -> None:
    """As at night, of an application of which four in ten requests are slow."""
    shop = Shop().learns(inbound=two_kinds(360, 240))
    shop.minutes(120, inbound=two_kinds(360, 240))
    assert set(shop.minutes(6, inbound=two_kinds(2, 3))) == {""}
    assert set(shop.minutes(6, inbound=two_kinds(8, 12))) == {""}
    assert shop.minutes(2, inbound=two_kinds(0, 5)) == ["", "KG-402"]
    assert shop.text() == "app shop/frontend answers in 61.2 ms, usually in 3.4 ms (5 calls)."


def test_six_pulses_of_ten_seconds_are_one_sample() -> None:
    shop = Shop().learns(edge())
    for _ in range(12):
        shop.now_s += 10
        shop.send(traffic(shop.now_s, edge(n=69, client=260.0), interval_s=10))
    assert shop.checks(FRONTEND) == ["KG-411"]
    assert shop.text().endswith("(414 calls).")


def test_a_shorter_sample_is_judged_sooner() -> None:
    shop = Shop()
    shop.scorer = Scorer(CATALOGUE, sample_s=10)
    shop.entity(entity(FRONTEND, sources=["otel"]))
    for step in range(91):
        shop.send(traffic(step * 10, edge(n=69), interval_s=10))
    shop.send(traffic(910, edge(n=69, client=260.0), interval_s=10))
    assert shop.checks(FRONTEND) == ["KG-411"]


def test_what_came_before_a_gap_is_no_part_of_the_next_minute() -> None:
    minute = Minute()
    assert minute.add(traffic(10, edge(n=10), interval_s=10), 60) is None
    for step in range(5):
        assert minute.add(traffic(300 + 10 * step, edge(n=1), interval_s=10), 60) is None
    found = minute.add(traffic(350, edge(n=1), interval_s=10), 60)
    assert found is not None
    assert (found.edges[0].n, found.interval_s) == (6, 60)


def test_a_minute_is_the_sum_of_its_pulses() -> None:
    minute = Minute()
    first = traffic(30, edge(n=10, client=8), edge(OTHER, n=3), inbound=served(5, errors=1), interval_s=30)
    assert minute.add(first, 60) is None
    second = traffic(60, edge(n=30, client=80, server=None, failed=4), inbound=served(7, errors=2), interval_s=30)
    found = minute.add(second, 60)
    assert found is not None
    (cart, ads) = found.edges
    assert (cart.n, cart.spans, cart.errors_client, cart.paired_share) == (40, 40, 4, 0.25)
    assert isinstance(cart.client_ms, Histogram)
    assert (cart.client_ms.n, round(cart.client_ms.quantile(0.5) or 0, -1)) == (40, 80)
    assert (ads.n, found.inbound and (found.inbound.n, found.inbound.errors)) == (3, (12, 3))


def test_of_very_many_connections_the_message_holds_a_bounded_number() -> None:
    peers = [edge(Ref("c1", "app", f"p{number:03}", "shop")) for number in range(400)]
    shop = Shop().learns(*peers, inbound=served())
    assert len(shop.health(FRONTEND).baselines) == PAST_MAX
    slow = edge(Ref("c1", "app", "p399", "shop"), client=900.0)
    assert shop.minutes(2, *peers[:-1], slow, inbound=served())[-1] == "KG-411"


def test_calls_for_each_request_are_not_judged_by_a_handful_of_requests() -> None:
    shop = Shop().learns(edge(n=600), inbound=served(600))
    assert set(shop.minutes(4, edge(n=200), inbound=served(9))) == {""}


def test_a_finding_of_one_source_is_not_ended_by_the_first_pulse_of_another_after_a_restart() -> None:
    shop = Shop().learns(edge())
    shop.minutes(2, SLOW)
    again = shop.restart_before_verdicts()
    again.scorer.on_pulse(
        structs.replace(traffic(again.now_s, inbound=served()), source="mesh"), now=at(again.now_s), evidence=""
    )
    again.scorer.on_pulse(traffic(again.now_s, SLOW), now=at(again.now_s), evidence="")
    again.scorer.caught_up(at(again.now_s))
    again.published.write(again.scorer.take())
    assert again.checks(FRONTEND) == ["KG-411"]
    assert again.health(FRONTEND).reasons == shop.health(FRONTEND).reasons


def test_fewer_calls_for_each_request_are_found_and_fewer_requests_are_not() -> None:
    shop = Shop().learns(edge(n=600), inbound=served(600))
    assert set(shop.minutes(3, edge(n=60), inbound=served(60))) == {""}
    assert shop.minutes(2, edge(n=60), inbound=served(600)) == ["", "KG-416"]
    assert shop.text() == "app shop/frontend → app shop/cart: 0.1 calls for each request, usually 1 call (60 calls)."
    assert shop.minutes(3, edge(n=600), inbound=served(600))[-1] == ""


def test_calls_that_end_are_found_and_after_ten_minutes_they_are_how_it_is() -> None:
    shop = Shop().learns(edge(), edge(OTHER), inbound=served())
    assert shop.minutes(2, edge(OTHER), inbound=served()) == ["", "KG-416"]
    assert shop.health(FRONTEND).reasons[0].edge == Edge("http", CART)
    assert shop.minutes(7, edge(OTHER), inbound=served())[-1] == "KG-416"
    assert shop.minutes(8, edge(OTHER), inbound=served())[-1] == ""
    assert set(shop.minutes(60, edge(OTHER), inbound=served())) == {""}


@pytest.mark.parametrize(("now", "found"), [(60, "KG-416"), (6000, "KG-415")])
def test_what_a_release_calls_is_usual_after_an_hour(now: int, found: str) -> None:
    shop = Shop().learns(edge(n=600), inbound=served(600))
    shop.minutes(120, edge(n=600), inbound=served(600))
    assert set(shop.minutes(55, edge(n=now), inbound=served(600))[1:]) == {found}
    assert shop.minutes(10, edge(n=now), inbound=served(600))[-1] == ""
    assert set(shop.minutes(180, edge(n=now), inbound=served(600))) == {""}
    (alert,) = shop.published.alerts.values()
    assert (alert.check, alert.state) == (found, "resolved")


@pytest.mark.parametrize("inbound", [None, served(9)])
def test_calls_that_end_with_the_requests_are_no_finding(inbound: Inbound | None) -> None:
    shop = Shop().learns(edge(), inbound=served())
    assert set(shop.minutes(4, inbound=inbound)) == {""}


def test_calls_that_may_be_hidden_are_not_missed() -> None:
    shop = Shop().learns(edge(), inbound=served())
    for _ in range(3):
        shop.now_s += 60
        shop.send(structs.replace(traffic(shop.now_s, inbound=served()), hidden_edges=1))
        assert shop.checks(FRONTEND) == []


def test_a_few_missing_calls_are_chance() -> None:
    shop = Shop().learns(edge(n=12), inbound=served(30))
    assert set(shop.minutes(4, edge(n=3), inbound=served(30))) == {""}


@pytest.mark.parametrize(("spans", "found"), [(9, ""), (10, "KG-415")])
def test_many_calls_that_few_spans_stand_for_are_not_judged(spans: int, found: str) -> None:
    shop = Shop().learns(edge(n=600), inbound=served(600))
    sampled = structs.replace(edge(n=6000, client=8.0), spans=spans)
    assert shop.minutes(2, sampled, inbound=served(600))[-1] == found
