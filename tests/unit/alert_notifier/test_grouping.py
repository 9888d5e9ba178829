"""Which alerts are one incident, and which are not."""

from datetime import datetime, timedelta
from itertools import pairwise

from kgents_alert_notifier.grouping.grouping_config import GroupingConfig
from kgents_alert_notifier.routing.route import RouteConfig
from support.build import NOW, make_ref
from support.grouping import Grouped, alert, entity, make_database, make_node, workload

CART = make_ref("cart", kind="deployment")
PAY = make_ref("pay", kind="deployment")
NODE = make_node("n1")
ORDERS = make_database("orders")


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_crash_loop_with_its_deployment_and_service_is_one_incident() -> None:
    grouped = Grouped()
    grouped.feed(*workload("cart"))
    grouped.feed(
        alert(make_ref("cart", kind="service"), "KG-040", at(2)),
        alert(CART, "KG-041", at(1)),
        alert(make_ref("cart-0"), "KG-020"),
        alert(make_ref("cart-0/app", kind="container"), "KG-101", at(3), severity="warning"),
    )
    grouped.after(31)
    (incident,) = grouped.rows.values()
    assert incident.affected_by_kind == {"container": 1, "deployment": 1, "pod": 1, "service": 1}
    assert (incident.state, incident.severity, incident.revision) == ("open", "critical", 1)
    assert incident.text.startswith("Open: ")
    assert "4 entities are affected (1 container, 1 deployment, 1 pod, 1 service)" in incident.text


def test_two_that_have_nothing_to_do_with_one_another_are_two() -> None:
    grouped = Grouped()
    grouped.feed(*workload("cart"), *workload("pay", node="n2"), alert(CART, "KG-041"), alert(PAY, "KG-041"))
    grouped.after(31)
    assert grouped.roots() == ["deployment shop/cart", "deployment shop/pay"]


def test_two_that_share_an_effect_are_two() -> None:
    """The effect is explained by either; that does not unite its causes."""
    ledger = make_database("ledger")
    grouped = Grouped()
    grouped.feed(entity(ORDERS), entity(ledger), *workload("cart", needs=[ORDERS, ledger]))
    grouped.feed(alert(ORDERS, "KG-001"), alert(ledger, "KG-001", at(1)), alert(CART, "KG-041", at(5)))
    grouped.after(40)
    assert grouped.roots() == ["database shop/ledger", "database shop/orders"]


def test_a_database_that_fails_explains_those_that_need_it() -> None:
    grouped = Grouped()
    grouped.feed(entity(ORDERS), *workload("cart", needs=[ORDERS]), *workload("pay", needs=[ORDERS]))
    grouped.feed(alert(CART, "KG-041"), alert(PAY, "KG-041", at(1)), alert(ORDERS, "KG-001", at(4)))
    grouped.after(31)
    (incident,) = grouped.rows.values()
    assert (incident.root.ref, incident.affected_count) == (ORDERS, 3)
    assert incident.root.why == "nothing explains it, and it explains 2 of 3 alerts"
    assert incident.reasons[0].ref == ORDERS


def test_a_database_does_not_explain_what_is_ones_own() -> None:
    """Out of memory, an image that is not there: the dead database is no cause of these."""
    for check in ("KG-021", "KG-002", "KG-101"):
        grouped = Grouped()
        grouped.feed(entity(ORDERS), *workload("cart", needs=[ORDERS]))
        grouped.feed(alert(ORDERS, "KG-001"), alert(make_ref("cart-0"), check, at(2)))
        grouped.after(33)
        assert len(grouped.rows) == 2, check


def test_what_breaks_no_one_explains_nothing() -> None:
    """A cache hit ratio is no reason for a workload that is down."""
    grouped = Grouped()
    grouped.feed(entity(ORDERS), *workload("cart", needs=[ORDERS]))
    grouped.feed(alert(ORDERS, "KG-304", severity="warning"), alert(CART, "KG-041", at(2)))
    grouped.after(33)
    assert len(grouped.rows) == 2


def test_a_database_near_its_limit_explains_others_once_it_is_critical() -> None:
    for severity, incidents in (("warning", 2), ("critical", 1)):
        grouped = Grouped()
        grouped.feed(entity(ORDERS), *workload("cart", needs=[ORDERS]))
        grouped.feed(alert(ORDERS, "KG-301", severity=severity), alert(CART, "KG-041", at(2)))
        grouped.after(33)
        assert len(grouped.rows) == incidents, severity


def test_what_an_entity_still_suffers_belongs_to_a_cause_that_has_ended() -> None:
    grouped = Grouped()
    grouped.feed(entity(ORDERS), *workload("cart", needs=[ORDERS]))
    grouped.feed(alert(ORDERS, "KG-301"), alert(CART, "KG-401", at(2)))
    grouped.after(33)
    grouped.feed(alert(ORDERS, "KG-301", state="resolved"))
    grouped.feed(alert(CART, "KG-414", at(60)))
    grouped.after(95)
    (incident,) = grouped.rows.values()
    assert incident.root.ref == ORDERS
    assert len(incident.members) == 3


def test_a_node_that_goes_explains_all_its_pods() -> None:
    grouped = Grouped()
    grouped.feed(entity(NODE), *workload("cart"), *workload("pay"))
    pods = [make_ref(f"{name}-{number}") for name in ("cart", "pay") for number in range(2)]
    grouped.feed(*(alert(pod, "KG-043", at(number)) for number, pod in enumerate(pods)), alert(NODE, "KG-044", at(20)))
    grouped.after(31)
    (incident,) = grouped.rows.values()
    assert (incident.root.ref, incident.affected_by_kind) == (NODE, {"node": 1, "pod": 4})


def test_a_node_explains_a_workload_only_if_all_its_pods_are_on_such_nodes() -> None:
    grouped = Grouped()
    grouped.feed(entity(NODE), *workload("cart", pods=1), *workload("pay", pods=1))
    grouped.feed(entity(make_ref("pay-9"), ("owns", PAY, "in"), ("runs_on", make_node("n2"))))
    grouped.feed(alert(NODE, "KG-044"), alert(CART, "KG-041", at(1)), alert(PAY, "KG-041", at(1)))
    grouped.after(32)
    assert grouped.roots() == ["deployment shop/pay", "node n1"]


def test_a_service_without_an_alert_between_the_two_does_not_hide_the_cause() -> None:
    postgres, service = make_ref("pg", kind="statefulset"), make_ref("pg", kind="service")
    grouped = Grouped()
    grouped.feed(entity(postgres), entity(service), *workload("cart", needs=[service]))
    grouped.feed(entity(make_ref("pg-0"), ("owns", postgres, "in"), ("routes", service, "in")))
    grouped.feed(alert(make_ref("pg-0"), "KG-021"), alert(CART, "KG-041", at(2)))
    grouped.after(33)
    assert grouped.roots() == ["pod shop/pg-0"]


def test_a_silent_source_explains_figures_that_are_no_longer_known() -> None:
    source = make_ref("k8s", kind="source", namespace="")
    grouped = Grouped()
    grouped.feed(*workload("cart"), alert(source, "KG-010"), alert(make_ref("cart-0"), "KG-007", at(1)))
    grouped.after(32)
    assert grouped.roots() == ["source k8s"]


def test_those_that_explain_each_other_are_one_incident() -> None:
    a, b = make_database("a"), make_database("b")
    grouped = Grouped()
    grouped.feed(entity(a, ("depends", b)), entity(b, ("depends", a)))
    grouped.feed(alert(b, "KG-001"), alert(a, "KG-001", at(1)))
    grouped.after(32)
    assert [each.affected_count for each in grouped.rows.values()] == [2]
    assert grouped.roots() == ["database shop/b"]


def test_a_cause_that_shows_later_is_the_parent_and_no_one_is_renamed() -> None:
    grouped = Grouped()
    grouped.feed(entity(ORDERS), *workload("cart", needs=[ORDERS]))
    grouped.feed(alert(CART, "KG-041"))
    (first,) = grouped.after(31)
    grouped.feed(alert(ORDERS, "KG-001", at(40)))
    grouped.after(60)
    cart, orders = sorted(grouped.rows.values(), key=lambda each: each.opened_at)
    assert (cart.id, cart.root.ref, cart.members, cart.revision) == (first.id, CART, first.members, 1)
    assert (orders.root.ref, cart.parent, orders.parent) == (ORDERS, orders.id, "")
    assert cart.timeline[-1].text == f"Probably caused by incident {orders.id}."


def test_what_is_found_later_of_the_same_cause_joins_its_incident() -> None:
    grouped = Grouped()
    grouped.feed(entity(ORDERS), *workload("cart", needs=[ORDERS]), alert(ORDERS, "KG-001"))
    (first,) = grouped.after(31)
    grouped.feed(alert(CART, "KG-041", at(60)))
    grouped.after(80)
    (incident,) = grouped.rows.values()
    assert (incident.id, incident.affected_count, incident.revision) == (first.id, 2, 1)


def test_a_cause_of_long_ago_does_not_swallow_what_is_new() -> None:
    grouped = Grouped(GroupingConfig(window_s=300))
    grouped.feed(entity(ORDERS), *workload("cart", needs=[ORDERS]), alert(ORDERS, "KG-001"))
    grouped.after(31)
    grouped.feed(alert(CART, "KG-041", at(1_000)))
    grouped.after(1_020)
    cart = next(each for each in grouped.rows.values() if each.root.ref == CART)
    assert cart.parent in grouped.rows


def test_a_blip_within_the_wait_is_no_incident() -> None:
    grouped = Grouped()
    grouped.feed(*workload("cart"), alert(CART, "KG-041"))
    grouped.after(20)
    grouped.feed(alert(CART, "KG-041", at(20), state="resolved"))
    grouped.after(60)
    assert grouped.published == []


def test_what_is_pending_is_no_incident() -> None:
    grouped = Grouped()
    grouped.feed(alert(CART, "KG-041", state="pending"))
    grouped.after(60)
    assert grouped.published == []


def test_the_most_impatient_route_says_how_long_an_alert_waits() -> None:
    routes = [RouteConfig(match={"severity": "critical"}, to=["pager"], wait_s=5, also=True), RouteConfig(to=["ops"])]
    grouped = Grouped(routes=routes)
    grouped.feed(*workload("cart"), *workload("pay"))
    grouped.feed(alert(CART, "KG-041"), alert(PAY, "KG-101", severity="warning"))
    grouped.after(6)
    assert grouped.roots() == ["deployment shop/cart"]
    grouped.after(25)
    assert len(grouped.rows) == 2


def test_more_hops_than_allowed_end_the_chain() -> None:
    chain = [make_database(name) for name in "abcde"]
    grouped = Grouped(GroupingConfig(hops=2))
    for first, second in pairwise(chain):
        grouped.feed(entity(first, ("depends", second)))
    grouped.feed(entity(chain[-1]), *(alert(each, "KG-001") for each in chain))
    grouped.after(31)
    assert grouped.roots() == ["database shop/b", "database shop/e"]
    assert next(each for each in grouped.rows.values() if each.root.ref == chain[1]).parent != ""


def test_a_flood_of_one_cause_lists_fifty_and_counts_all() -> None:
    grouped = Grouped()
    grouped.feed(entity(NODE), *workload("cart", pods=80), alert(NODE, "KG-044"))
    grouped.feed(*(alert(make_ref(f"cart-{number}"), "KG-043") for number in range(80)))
    grouped.after(31)
    (incident,) = grouped.rows.values()
    assert (len(incident.affected), incident.affected_count, len(incident.members)) == (50, 81, 81)
