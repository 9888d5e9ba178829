"""What a benchmark prints: ratios, targets with their marks, and how a figure grows with the number of entities."""

import pytest

from bench.curves import as_curves, bars
from bench.figures import Figure, as_json, as_table, missed


def figure(
    ours: float,
    bare: float | None = None,
    *,
    size: int = 0,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Figure:
    return Figure(
        bench="relay", name="CPU", ours=ours, bare=bare, unit="µs", size=size, at_most=at_most, at_least=at_least
    )


@pytest.mark.parametrize(
    ("found", "is_met"),
    [
        (figure(3.0, 1.0, at_most=3), True),
        (figure(3.1, 1.0, at_most=3), False),
        (figure(0.6, 1.0, at_least=0.6), True),
        (figure(0.5, 1.0, at_least=0.6), False),
        (figure(50.0, at_most=50), True),
        (figure(51.0, at_most=50), False),
        (figure(1.0, 0.0, at_most=3), False),
        (figure(9.0, 1.0), None),
    ],
)
def test_a_target_is_for_the_ratio_and_without_a_bare_client_for_the_figure_itself(
    found: Figure, is_met: bool | None
) -> None:
    assert found.is_met is is_met
    assert missed([found]) == ([found] if is_met is False else [])


def test_each_figure_is_shown_beside_its_target_and_a_missed_one_is_marked() -> None:
    found = figure(59.4, 8.8, size=1000, at_most=3)
    assert found.line == "relay: CPU (1,000 entities): 6.75 × bare (59.4 µs to 8.8 µs), target ≤ 3 ✘"
    assert " ".join(as_table([found]).splitlines()[-1].split()) == "relay CPU 1,000 59.4 µs 8.8 µs 6.75 ≤ 3 ✘"
    assert '"met": false' in as_json([found])
    assert figure(21.0, at_most=50).line == "relay: CPU: 21 µs, target ≤ 50 µs ✔"


def test_sizes_of_one_figure_are_one_row_with_its_growth() -> None:
    constant = [figure(10.0, 5.0, size=size, at_most=3) for size in (1_000, 10_000)]
    row = as_curves([*constant, figure(1.0)]).splitlines()[-1]
    assert " ".join(row.split()) == "relay CPU 10 µs, 2.00 × ✔ 10 µs, 2.00 × ✔ ≤ 3 ██ n^0.00"
    linear = as_curves([figure(1.0, size=1_000), figure(100.0, size=100_000)])
    assert linear.endswith("n^1.00")


def test_what_was_measured_at_one_size_is_no_curve() -> None:
    assert as_curves([figure(1.0, size=1_000), figure(2.0)]) == ""


def test_a_tenth_is_three_steps_lower() -> None:
    assert bars([1.0, 10.0, 100.0]) == "▂▅█"
    assert bars([0.0, 0.0]) == "▁▁"
