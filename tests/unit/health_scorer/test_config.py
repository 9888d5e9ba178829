"""Settings that would silently do nothing are refused, with the way out."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.checks.check import GradedCheck, Thresholds
from kgents_health_scorer.config import Config
from kgents_shared.runtime.config import load

pytestmark = pytest.mark.unit


def test_defaults_are_the_whole_catalogue() -> None:
    assert Config().checks() == CATALOGUE


def test_disabled_check_is_not_asked_and_a_threshold_is_replaced() -> None:
    checks = {
        check.id: check
        for check in Config(disabled_checks=["KG-102"], thresholds={"KG-221": Thresholds(warn=5.0)}).checks()
    }
    assert "KG-102" not in checks
    lag = checks["KG-221"]
    assert isinstance(lag, GradedCheck)
    assert lag.thresholds == Thresholds(warn=5.0)
    assert len(checks) == len(CATALOGUE) - 1


def test_profile_is_asked_beside_the_catalogue_and_only_by_those_who_want_it() -> None:
    checks = Config(
        profiles=["absolute"], disabled_checks=["KG-326"], thresholds={"KG-325": Thresholds(warn=100)}
    ).checks()
    assert checks[: len(CATALOGUE)] == CATALOGUE
    more = {check.id: check for check in checks[len(CATALOGUE) :]}
    assert "KG-326" not in more
    assert isinstance(more["KG-325"], GradedCheck)
    assert more["KG-325"].thresholds == Thresholds(warn=100)


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ({"profiles": ["mission"]}, 'expected a known profile, found "mission"; known: absolute'),
        ({"disabled_checks": ["KG101"]}, "did you mean KG-101 (memory near its limit)?"),
        ({"disabled_checks": ["kg-101"]}, "did you mean KG-101 ("),
        ({"disabled_checks": ["memory"]}, 'found "memory"; docs/reference/checks.md lists all'),
        ({"thresholds": {"KG-999": {"warn": 1}}}, 'expected the number of a check, found "KG-999"; docs/reference'),
        ({"thresholds": {"KG-001": {"warn": 1}}}, "which judges a fact and has none"),
        ({"thresholds": {"KG-101": {"warn": 0.9, "crit": 0.8}}}, "KG-101: expected warn < crit < fatal"),
        ({"thresholds": {"KG-101": {"warn": 0.9, "crit": 0.9}}}, "KG-101: expected warn < crit < fatal"),
        ({"thresholds": {"KG-101": {"warn": 0.9, "fatal": 1}}}, "expected crit beside fatal"),
        ({"thresholds": {"KG-101": {}}}, "expected warn or crit, found neither"),
        ({"thresholds": {"KG-101": {"warn": float("nan")}}}, "warn: expected a finite number"),
        ({"thresholds": {"KG-101": {"warning": 0.9}}}, "unknown field"),
        ({"tick_interval_s": 0}, "Expected `float` > 0"),
        ({"cluster": ["a"]}, "unknown field"),
    ],
)
def test_unusable_settings_are_refused(section: dict[str, object], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=re.escape(why)):
        msgspec.convert(section, Config)


def test_settings_come_from_the_common_file(tmp_path: Path) -> None:
    path = tmp_path / "kgents.yaml"
    section = {"clusters": ["prod"], "thresholds": {"KG-221": {"warn": 5, "crit": 50}}}
    path.write_text(json.dumps({"health-scorer": section}))
    _, config = load("health-scorer", Config, path=path, environ={"HOME": "/"})
    assert config.thresholds == {"KG-221": Thresholds(warn=5.0, crit=50.0)}
    assert config.clusters == ["prod"]
