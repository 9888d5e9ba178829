import pytest

from kgents_shared.contract.quantity import worded


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (61.5, "Cel", "61.5 °C"),
        (1e14, "", "100,000,000,000,000"),
        (1e15, "", "1e+15"),
        (-1e300, "%", "-1e+298×"),
        (1e300, "By", "1e+288 TB"),
    ],
)
def test_a_number_never_has_hundreds_of_digits(value: float, unit: str, text: str) -> None:
    assert worded(value, unit) == text
