"""A database is judged by the checks of its system alone, and counts no others."""

import pytest

from kgents_health_scorer.checks import CATALOGUE, PROFILES
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.vocabulary import kinds
from support.health_inputs import Watch, entity, pulse

pytestmark = pytest.mark.unit

DATABASE = Ref("c1", "database", "cache")
OF_KIND = [check for check in CATALOGUE if not check.applies_to or DATABASE.kind in check.applies_to]
SYSTEMS = ("postgresql", "pgbouncer", "redis", "valkey", "qdrant")


def watched(system: str) -> Watch:
    watch = Watch()
    watch.entity(entity(DATABASE, attributes={"db.system.name": system} if system else {}))
    watch.tick(1)
    return watch


def test_every_check_of_a_database_names_its_systems() -> None:
    every = [*CATALOGUE, *(check for profile in PROFILES.values() for check in profile)]
    assert {check.id for check in every if check.systems} == {
        check.id
        for check in every
        if "KG-300" <= check.id < "KG-400" and check.applies_to != {kinds.COMPARISON}  # which is of two systems
    }
    assert {system for check in every for system in check.systems} == set(SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_before_the_first_pulse_only_checks_of_its_system_may_apply(system: str) -> None:
    applying = [check for check in OF_KIND if not check.systems or system in check.systems]
    assert watched(system).health(DATABASE).applicable == len(applying) < len(OF_KIND)


def test_a_system_that_no_check_is_for_has_the_checks_of_any_entity() -> None:
    general = [check for check in OF_KIND if not check.systems]
    assert watched("mysql").health(DATABASE).applicable == len(general)
    assert watched("").health(DATABASE).applicable == len(OF_KIND)  # it does not name its system


@pytest.mark.parametrize(("system", "checks"), [("redis", ["KG-331"]), ("postgresql", [])])
def test_a_figure_of_another_system_means_nothing(system: str, checks: list[str]) -> None:
    watch = watched(system)
    for at_s in (0, 10):
        watch.pulse(pulse(at_s, DATABASE, custom={"redis_clients_ratio": 0.99}))
    assert watch.checks(DATABASE) == checks
