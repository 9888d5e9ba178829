"""Fragments come back as they were put, whole or compressed, and beyond a limit all are compressed."""

import pytest

from kgents_collector_k8s import shelf
from kgents_collector_k8s.mapping.fragment import Fragment, Owner
from kgents_collector_k8s.shelf import Shelf


def _fragment(number: int) -> Fragment:
    return Fragment(f"uid-{number}", owner=Owner("Job", "batch", "nightly", f"owner-{number}"))


@pytest.mark.parametrize("count", [3, 4, 5, 40])
def test_each_fragment_comes_back_on_both_sides_of_the_limit(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "WHOLE_MAX", 4)
    kept = Shelf()
    for number in range(count):
        kept.put(("shop", str(number)), _fragment(number))
        assert [kept.get(key) for key in kept.keys()] == [_fragment(each) for each in range(number + 1)]  # noqa: SIM118
    assert kept.get(("shop", "none")) is None


def test_once_there_are_too_many_the_first_ones_are_compressed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "WHOLE_MAX", 4)
    kept = Shelf()
    for number in range(9):
        kept.put(("shop", str(number)), _fragment(number))
    assert {type(each) for each in kept._kept.values()} == {bytes}


def test_what_changes_or_goes_before_it_is_compressed_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "WHOLE_MAX", 4)
    kept = Shelf()
    for number in range(5):
        kept.put(("shop", str(number)), _fragment(number))
    kept.put(("shop", "4"), _fragment(14))
    kept.drop(("shop", "1"))
    for number in range(20, 30):
        kept.put(("shop", str(number)), _fragment(number))
    assert kept.get(("shop", "1")) is None
    assert kept.get(("shop", "4")) == _fragment(14)
    assert kept.get(("shop", "0")) == _fragment(0)
