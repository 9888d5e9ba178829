import pytest

from kgents_cli.units import figure, plain, scaled


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (7.0, "7"),
        (0.0123, "0.0123"),
        (999.4, "999"),
        (999.6, "1 k"),
        (1_234.0, "1.23 k"),
        (48_100_000.0, "48.1 M"),
        (9.9e17, "990 P"),
        (2.5e18, "2.5e+18"),
        (-1e300, "-1e+300"),
        (-1_500.0, "-1.5 k"),
    ],
)
def test_numbers_have_at_most_three_digits_before_their_unit(value: float, text: str) -> None:
    assert scaled(value) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("cpu_percent", 37.5, "37.5 %"),
        ("cpu_percent", 150.0, "150 %"),
        ("cpu_percent", -1e300, "-1e+300 %"),
        ("memory_bytes", 48_100_000, "48.1 MB"),
        ("network_rx_bytes", 10_240.5, "10.2 kB/s"),
        ("memory_limit_ratio", 0.97, "97 %"),
        ("pending_messages", 12_345.0, "12.3 k"),
        ("performance.queries_per_sec", 412.0, "412 /s"),
        ("replication.lag_s", 0.8, "0.8 s"),
        ("anything_ms", 3.75, "3.75 ms"),
        ("anything_mb", 20_480.0, "20.5 GB"),
        ("anything", 3.0, "3"),
        ("cpu_percent", None, "-"),
    ],
)
def test_a_figure_reads_in_the_unit_that_it_is_declared_in_or_that_its_name_ends_with(
    name: str, value: float | None, text: str
) -> None:
    assert figure(name, value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), ("", "-"), ([], "-"), (True, "yes"), (0, "0"), (1.50, "1.5"), (["a", "b"], "a,b")]
)
def test_an_attribute_reads_without_python(value: object, text: str) -> None:
    assert plain(value) == text
