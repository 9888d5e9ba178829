"""What a maintenance of a machine covers: what is unwell because of it, and nothing else."""

from datetime import timedelta

import pytest

from kgents_alert_notifier.routing.window import MaintenanceConfig
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.silence import Matcher, Silence
from support.build import NOW, make_ref
from support.decisions import make_silence
from support.grouping import Grouped, alert, entity, make_database, make_node, workload

N1, N2 = make_node("n1"), make_node("n2")
CART, CART_POD = make_ref("cart", kind="deployment"), make_ref("cart-0")
ORDERS = make_database("orders")


def maintenance(*matchers: tuple[str, str] | tuple[str, str, bool], purpose: str = "maintenance") -> Silence:
    found = [Matcher(field=each[0], value=each[1], is_negated=len(each) > 2) for each in matchers]
    times = {"starts_at": NOW, "ends_at": NOW + timedelta(hours=1)}
    return make_silence("m", purpose=purpose, matchers=found, **times)


OF_N1 = maintenance(("kind", "node"), ("name", "n1"))


def covers(*fired: tuple[Ref, str], by: Silence = OF_N1, grouped: Grouped | None = None) -> bool:
    """Whether the one incident of these alerts is silenced. Cart runs on n1 and needs orders, which runs on n2."""
    grouped = grouped or Grouped()
    grouped.feed(entity(N1), entity(N2), entity(ORDERS, ("runs_on", N2)), *workload("cart", pods=1, needs=[ORDERS]))
    grouped.feed(by, *(alert(ref, check) for ref, check in fired))
    grouped.after(32)
    [incident] = grouped.open
    return bool(incident.silenced_by)


@pytest.mark.parametrize(
    "fired",
    [
        [(N1, "KG-044")],
        [(CART_POD, "KG-043")],
        [(CART, "KG-041"), (make_ref("cart", kind="service"), "KG-040")],
        [(make_ref("cart", kind="service"), "KG-040")],
        [(N1, "KG-044"), (CART_POD, "KG-020"), (CART, "KG-041")],
    ],
)
def test_what_runs_there_and_what_that_explains_is_covered(fired: list[tuple[Ref, str]]) -> None:
    assert covers(*fired)


@pytest.mark.parametrize(
    "fired",
    [
        [(N2, "KG-044")],
        [(CART_POD, "KG-021")],  # its own memory
        [(make_ref("cart-0/app", kind="container"), "KG-101")],
        [(CART, "KG-041"), (make_ref("cart-0"), "KG-002")],  # its image
        [(ORDERS, "KG-001"), (CART, "KG-041")],  # a database elsewhere
    ],
)
def test_what_is_unwell_for_another_reason_is_not(fired: list[tuple[Ref, str]]) -> None:
    assert not covers(*fired)


@pytest.mark.parametrize(
    ("by", "is_covered"),
    [
        (maintenance(("kind", "node")), True),
        (maintenance(("kind", "node"), ("name", "n2")), False),
        (maintenance(("kind", "node"), ("check", "KG-044")), False),
        (maintenance(("kind", "pod", True)), False),  # it would cover the node, but not that it is one
        (maintenance(("kind", "node"), ("name", "n1"), purpose="silence"), False),
    ],
)
def test_only_a_maintenance_of_that_machine_covers_what_runs_there(by: Silence, is_covered: bool) -> None:
    assert covers((CART_POD, "KG-043"), by=by) is is_covered


def test_a_maintenance_of_the_configuration_covers_the_same() -> None:
    nothing = maintenance(("name", "nothing"))
    of_n1, of_others = (
        MaintenanceConfig(match={"kind": "node", "name": ["n1"]}),
        MaintenanceConfig(match={"kind": "!pod"}),
    )
    for config, is_covered in ((of_n1, True), (of_others, False)):
        assert covers((CART_POD, "KG-043"), by=nothing, grouped=Grouped(maintenance=[config])) is is_covered


def test_what_needs_a_database_on_the_machine_is_covered_unless_it_has_another_cause() -> None:
    of_n2, ledger = maintenance(("kind", "node"), ("name", "n2")), make_database("ledger")
    assert covers((ORDERS, "KG-001"), (CART, "KG-041"), by=of_n2)
    grouped = Grouped()
    grouped.feed(entity(ledger), entity(ORDERS, ("runs_on", N2)), *workload("pay", pods=1, needs=[ORDERS, ledger]))
    pay = make_ref("pay", kind="deployment")
    grouped.feed(of_n2, alert(ledger, "KG-001"), alert(ORDERS, "KG-001"), alert(pay, "KG-041"))
    grouped.after(32)
    silenced = {each.root.ref: bool(each.silenced_by) for each in grouped.open if pay in [a.ref for a in each.affected]}
    assert list(silenced.values()) == [False], "pay may suffer from the other one"


def test_a_pod_that_comes_up_elsewhere_is_covered_no_more() -> None:
    grouped = Grouped()
    assert covers((CART, "KG-041"), grouped=grouped)
    grouped.feed(entity(make_ref("cart-1"), ("owns", CART, "in"), ("runs_on", N2)))
    grouped.after(2)
    assert grouped.open[0].silenced_by == []
    grouped.feed(entity(make_ref("cart-1"), ("owns", CART, "in"), ("runs_on", N1)))
    grouped.after(2)
    assert grouped.open[0].silenced_by == ["m"]
