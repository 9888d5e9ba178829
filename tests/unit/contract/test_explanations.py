"""Every check says what may explain it."""

from typing import get_args

from kgents_health_scorer.checks import CATALOGUE, PROFILES
from kgents_shared.contract.vocabulary.explanations import (
    _BREAKS,
    _BREAKS_IF_CRITICAL,
    _EXPLAINED,
    BREAKING,
    BREAKING_IF_CRITICAL,
    EXPLANATIONS,
    Relation,
    explanation_of,
)

CHECKS = [each.id for each in (*CATALOGUE, *(each for profile in PROFILES.values() for each in profile))]


def test_every_check_is_declared_and_nothing_else_is() -> None:
    assert sorted(EXPLANATIONS) == sorted(CHECKS)


def test_every_check_is_declared_once() -> None:
    declared = [check for checks in _EXPLAINED.values() for check in checks.split()]
    assert sorted(declared) == sorted(set(declared))
    assert sorted((*_BREAKS.split(), *_BREAKS_IF_CRITICAL.split())) == sorted(BREAKING | BREAKING_IF_CRITICAL)
    assert set(declared) >= BREAKING | BREAKING_IF_CRITICAL


def test_every_relation_explains_something() -> None:
    used = {relation for each in EXPLANATIONS.values() for relation in each.explained_by}
    assert used == set(get_args(Relation))


def test_what_a_check_measures_of_its_own_is_explained_by_nothing() -> None:
    """Its memory, its image: a dead database is no cause of these, though the entity depends on it."""
    for check in ("KG-002", "KG-021", "KG-101", "KG-102"):
        assert explanation_of(check).explained_by == ()


def test_a_check_of_a_newer_scorer_explains_nothing() -> None:
    assert (explanation_of("KG-999").explained_by, explanation_of("KG-999").breaks) == ((), False)
