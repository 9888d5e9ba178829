"""What was planned: silences that are over, and machines with what ran on them alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from kgents_alert_notifier.routing.window import MaintenanceConfig, WindowConfig
from kgents_cli.auditing.trail import Entry
from kgents_cli.availability.machines import Placement, own_faults
from kgents_cli.availability.planned import Plan, Planned
from kgents_cli.availability.silenced import of_trail
from kgents_cli.availability.spans import Window, microseconds
from kgents_shared.contract.audit import AuditRecord, Write
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health, Reason
from kgents_shared.contract.silence import Matcher, Silence
from kgents_shared.contract.topology import TopologyEntity
from support.build import make_ref
from support.decisions import make_silence
from support.grouping import entity, make_database, make_node, workload

T0 = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
DAY = Window(microseconds(T0), microseconds(T0 + 24 * HOUR))
N1, N2 = make_node("n1"), make_node("n2")
CART, CART_POD, CART_SERVICE = (
    make_ref("cart", kind="deployment"), make_ref("cart-0"), make_ref("cart", kind="service"),
)  # fmt: skip
ORDERS = make_database("orders")
WORLD = [entity(N1), entity(N2), *workload("cart", pods=1), *workload("web", node="n2"), *workload("web", pods=1)]


def hours(begin: float, end: float) -> Window:
    return Window(microseconds(T0 + begin * HOUR), microseconds(T0 + end * HOUR))


def maintenance(name: str, begin: float, end: float, kind: str = "node") -> Silence:
    matchers = [Matcher(field="kind", value=kind), Matcher(field="name", value=name)]
    times = {"starts_at": T0 + begin * HOUR, "ends_at": T0 + end * HOUR}
    return make_silence(f"of-{name}", cluster="test", purpose="maintenance", matchers=matchers, **times)


def planned(plan: Plan, ref: Ref, world: list[TopologyEntity] | None = None, **more: Any) -> list[Window]:
    for each in plan.of_machines:
        plan.place(Placement("test", each, world or WORLD))
    return plan.of(ref, {}, **more)


@pytest.mark.parametrize("ref", [N1, CART_POD, CART, CART_SERVICE])
def test_a_maintenance_of_a_machine_is_planned_for_it_and_for_what_runs_there_alone(ref: Ref) -> None:
    assert planned(Plan(DAY, silences=[maintenance("n1", 1, 3)]), ref) == [hours(1, 3)]


@pytest.mark.parametrize("ref", [N2, make_ref("web", kind="deployment"), make_ref("web", kind="service"), ORDERS])
def test_what_runs_elsewhere_too_is_not(ref: Ref) -> None:
    assert planned(Plan(DAY, silences=[maintenance("n1", 1, 3)]), ref) == []


def test_what_runs_on_two_machines_is_planned_while_both_are() -> None:
    both = [maintenance("n1", 1, 3), maintenance("n2", 2, 5)]
    assert planned(Plan(DAY, silences=both), make_ref("web", kind="deployment")) == [hours(2, 3)]


def test_what_has_moved_since_counts_as_where_it_was() -> None:
    """And a second maintenance, of the other machine, as where it was then."""
    plan = Plan(DAY, silences=[maintenance("n1", 1, 3), maintenance("n2", 6, 7)])
    first, second = plan.of_machines
    plan.place(Placement("test", first, WORLD))
    moved = [entity(N1), entity(N2), *workload("cart", pods=1, node="n2")]
    plan.place(Placement("test", second, moved))
    assert plan.of(CART, {}) == [hours(1, 3), hours(6, 7)]


def test_configuration_and_file_plan_machines_too_and_a_kind_has_to_be_named() -> None:
    nights = {"night": WindowConfig(zone="UTC", begin="02:00", end="03:00")}
    weekly = MaintenanceConfig(window="night", match={"kind": "node", "name": ["n1"]})
    assert planned(Plan(DAY, maintenance=[weekly], windows=nights), CART) == [hours(2, 3)]
    named, unnamed = (Planned(begin=T0, end=T0 + HOUR, kind=kind, name="n1") for kind in ("node", "*"))
    assert planned(Plan(DAY, stated=[named]), CART) == [hours(0, 1)]
    assert planned(Plan(DAY, stated=[unnamed]), CART) == []
    assert planned(Plan(DAY, silences=[maintenance("n1", 1, 3, kind="*")]), CART) == []


def test_a_fault_that_no_machine_explains_is_an_outage_all_the_same() -> None:
    def health(*reasons: tuple[str, float]) -> Health:
        found = [Reason(check, "t", severity) for check, severity in reasons]
        return Health("t", CART_POD, score=0.2, level="critical", reasons=found)

    at = [microseconds(T0 + number * HOUR) for number in range(4)]
    versions = [
        (at[0], health(("KG-043", 0.5))), (at[1], health(("KG-043", 0.5), ("KG-021", 0.9))),
        (at[2], health(("KG-043", 0.5), ("KG-101", 0.3))), (at[3], None),
    ]  # fmt: skip
    assert own_faults(versions) == [Window(at[1], at[2])]
    plan = Plan(DAY, silences=[maintenance("n1", 0, 3)])
    assert planned(plan, CART_POD, own_faults=own_faults(versions)) == [hours(0, 1), hours(2, 3)]


def write(action: str, silence: Silence, at: float, outcome: str | None = "done") -> Entry:
    body = msgspec.to_builtins(silence)
    before, after = (None, body) if action == "silence" else (body, None)
    record = AuditRecord(
        text="t", cluster="test", action=action, id=f"{action}{at}", stage="done", by="ada", via="cli",
        target=f"silence {silence.id}", before=before, after=after,
    )  # fmt: skip
    return Entry(T0 + at * HOUR, Write(record, outcome))


def test_a_silence_that_is_over_is_known_from_the_audit_trail_with_the_end_that_it_had() -> None:
    first, second = maintenance("n1", 1, 9), maintenance("n2", 1, 2)
    trail = [write("silence", first, 0), write("silence", second, 0), write("unsilence", first, 4)]
    assert [(each.id, each.ends_at) for each in of_trail(trail)] == [
        ("of-n1", T0 + 4 * HOUR),
        ("of-n2", second.ends_at),
    ]


def test_what_was_not_stored_silenced_nothing_and_what_may_have_ended_it_did() -> None:
    first = maintenance("n1", 1, 9)
    assert of_trail([write("silence", first, 0, "failed"), write("silence", first, 0, None)]) == []
    ended = of_trail([write("silence", first, 0), write("unsilence", first, 4, None)])
    assert [each.ends_at for each in ended] == [T0 + 4 * HOUR]
    kept = of_trail([write("silence", first, 0), write("unsilence", first, 4, "failed")])
    assert kept == [first]
    again = msgspec.structs.replace(first, starts_at=T0 + 6 * HOUR)
    replaced = of_trail([write("silence", first, 0), write("silence", again, 5)])
    assert [(each.starts_at, each.ends_at) for each in replaced] == [
        (first.starts_at, T0 + 5 * HOUR), (again.starts_at, first.ends_at),
    ]  # fmt: skip
