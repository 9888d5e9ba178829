"""The numbered catalogue of health-scorer → docs/reference/checks.md."""

from collections.abc import Iterable

from kgents_health_scorer.checks import CATALOGUE, PROFILES
from kgents_health_scorer.checks.check import Check, GradedCheck, SeriesCheck, StateCheck, Thresholds, Usual
from kgents_shared.contract.quantity import worded
from reference.markdown import code, page, table


def document() -> str:
    """A table to find a check in, then each check with what a finding means and where its thresholds come from."""
    return page(
        "Checks",
        "What health-scorer checks on every entity. An entity's score is 1 minus the severity of its worst finding: "
        "0.2 at `warn`, 0.5 at `crit`, 1 at `fatal`. Change thresholds with `health-scorer.thresholds`, switch a check "
        "off with `health-scorer.disabled_checks` (see [config.md](config.md)).",
        _table(CATALOGUE),
        *(f"Only with `health-scorer.profiles: [{name}]`:\n\n{_table(checks)}" for name, checks in PROFILES.items()),
        *(_section(check) for checks in (CATALOGUE, *PROFILES.values()) for check in checks),
    )


def _table(checks: Iterable[Check]) -> str:
    return table(("check", "name", "applies to", "warn", "crit", "fatal", "unit"), (_row(check) for check in checks))


def _row(check: Check) -> tuple[str, ...]:
    limits = check.thresholds if isinstance(check, GradedCheck) else None
    unit = check.unit if isinstance(check, GradedCheck) else ""
    return (
        f"[{check.id}](#{check.id.lower()})",
        check.name,
        _kinds(check),
        *(_number(getattr(limits, name, None)) for name in Thresholds.__struct_fields__),
        code(unit),
    )


def _section(check: Check) -> str:
    facts = (
        f"*{check.name}*, for {_kinds(check)}. {rule(check)}",
        f"- says: {check.text}\n- means: {check.why}\n- thresholds: {check.source}",
    )
    return "\n\n".join((f"## {check.id}", *facts))


def rule(check: Check) -> str:
    """How it judges, and whether a finding is an alert."""
    alert = "A finding is an alert, too." if check.alerts else "A finding is no alert."
    match check:
        case StateCheck(means_unknown=True):
            return f"It holds or it does not; if it does, the level is `unknown`. {alert}"
        case StateCheck():
            return f"It holds or it does not; its severity is {_number(check.severity)}. {alert}"
        case SeriesCheck(usual=Usual(way=way, adopted_s=adopted_s)):
            once = f"; from {_number(check.at_once)} on one sample is enough" if check.at_once is not None else ""
            ends = f"What lasts for {worded(adopted_s, 's')} is usual, and no finding."
            return f"Its value is how many spreads it is {way} what is usual{once}. {ends} {alert}"
        case GradedCheck(worse="lower"):
            return f"The lower the worse. {alert}"
        case _:
            return f"The higher the worse. {alert}"


def _kinds(check: Check) -> str:
    return ", ".join(code(kind) for kind in sorted(check.applies_to)) or "any kind"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value.is_integer() else f"{value:g}"
