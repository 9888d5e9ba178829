"""Whatever a check finds, it says so in one sentence that a person reads without stopping."""

import re

import pytest

from kgents_health_scorer.checks import CATALOGUE, PROFILES
from kgents_health_scorer.checks.check import (
    SPREAD,
    Check,
    GradedCheck,
    RestartCheck,
    Sample,
    SampleCheck,
    SeriesCheck,
    State,
    StateCheck,
    custom,
)
from kgents_health_scorer.score import severity, threshold_passed
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Edge
from kgents_shared.contract.quantity import ANSWER, worded
from kgents_shared.contract.vocabulary.figures import FIGURES
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM
from support.check_cases import STATES
from support.health_inputs import entity

pytestmark = pytest.mark.unit

ALL = [*CATALOGUE, *(check for profile in PROFILES.values() for check in profile)]
GRADED = [check for check in ALL if isinstance(check, GradedCheck)]
ENTITY = Ref("local", "database", "orders", "shop")
MOST = 120
"""Characters: one line beside a level and a name."""
VALUES = (0.0, 0.5, 1.0, 2.0, 3.0, 12.0, 1000.0)

_CODE = re.compile(r"`[^`]*`")
_RAW_NAME = re.compile(r"[a-z]+_[a-z_]+")
_VERB = r"(?:have|has|are|is|was|were|do|does|fails?|waits?|needs?)"
_CHANGES_WITH_THE_NUMBER = re.compile(rf"{{value}}(?: [a-z]+){{0,3}}? {_VERB}\b|\b(?:is|are|was|were) {{value}}")
"""A verb that one would need in the singular, and several in the plural: "1 session that have waited"."""


def sentences_of(check: Check) -> list[str]:
    """What it says about each value that is a finding."""
    if not isinstance(check, GradedCheck):
        assert isinstance(check, StateCheck)
        return [check.sentence(ENTITY, check.find(STATES[check.id][0]) or "")]
    if isinstance(check, SeriesCheck):
        return series_of(check)
    said = []
    for value in (*VALUES, *check.thresholds.given):
        if (how_bad := severity(check, value)) > 0:
            limit = worded(threshold_passed(check, how_bad) or 0.0, check.unit)
            shown = "restarted 12 times in 1 h" if isinstance(check, RestartCheck) else worded(value, check.unit)
            said.append(check.sentence(ENTITY, shown, limit))
    assert said, check.id
    return said


def series_of(check: SeriesCheck) -> list[str]:
    """The same of one that compares: of calls, and of the entity itself."""
    edge = Edge("http", Ref("local", "app", "catalogue", "shop"))
    return [check.explained(ENTITY, Sample(value, edge, 416), 0.042, 0.05) for value in VALUES]


SENTENCES = [text for check in ALL for text in sentences_of(check)]


def test_a_status_that_its_source_must_not_report_is_named() -> None:
    reason = "stopped is none of running, pending, failed, terminating, succeeded"
    check = next(check for check in ALL if check.id == "KG-005")
    assert isinstance(check, StateCheck)
    found = check.find(State(entity(status="unknown", reason=reason), 0, ()))
    assert check.sentence(ENTITY, found or "") == f"The status of {ENTITY} is unknown: {reason}."
    assert len(check.sentence(ENTITY, found or "")) <= MOST


def test_it_is_one_sentence_that_fits_a_line() -> None:
    assert [text for text in SENTENCES if not re.fullmatch(r"[^{}]+\.", text) or ". " in text] == []
    assert [text for text in SENTENCES if len(text) > MOST] == []


def test_it_names_no_figure_and_no_attribute() -> None:
    assert [text for text in SENTENCES if _RAW_NAME.search(_CODE.sub("", text))] == []


def test_a_multiple_is_not_of_something() -> None:
    assert [text for text in SENTENCES if "× of" in text] == []
    assert any("1,000× its memory limit" in text for text in SENTENCES)


def test_one_and_many_need_no_other_verb() -> None:
    counting = [check for check in GRADED if check.unit.startswith("{")]
    assert [check.text for check in counting if _CHANGES_WITH_THE_NUMBER.search(check.text)] == []


@pytest.mark.parametrize(
    "text", ["{entity} has {value} that have waited.", "{entity} serves, and so is {value} of it.", "{value} is down."]
)
def test_a_verb_that_changes_with_the_number_is_noticed(text: str) -> None:
    assert _CHANGES_WITH_THE_NUMBER.search(text)


def test_a_yes_or_no_is_stated_as_a_fact_and_any_other_value_is_shown() -> None:
    assert [check.id for check in GRADED if check.shows_value == (check.unit in (ANSWER, SPREAD))] == []


def test_the_unit_of_a_check_is_that_of_its_figure() -> None:
    declared = {figure.name: _sort_of(figure.unit) for figure in FIGURES if figure.section == CUSTOM}
    sampled = [check for check in ALL if isinstance(check, SampleCheck) and check.reads is custom]
    pairs = [(check.id, _sort_of(check.unit), declared.get(check.figure)) for check in sampled]
    assert [each for each in pairs if each[2] not in (each[1], None)] == []  # None: one of a family
    assert len([each for each in pairs if each[2] is not None]) > len(pairs) / 2


def _sort_of(unit: str) -> str:
    """The unit without the word for what is counted, which a check may say better."""
    return unit if unit == ANSWER else re.sub(r"\{.*?\}", "{}", unit)


def test_a_figure_that_says_whether_is_declared_as_a_yes_or_no() -> None:
    assert [each.name for each in FIGURES if each.meaning.startswith("Whether") != (each.unit == ANSWER)] == []
