"""Settings of health-scorer: which clusters, which checks, which thresholds → the catalogue in use."""

import difflib
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from msgspec import structs

from kgents_health_scorer.checks import CATALOGUE, PROFILES
from kgents_health_scorer.checks.check import Check, GradedCheck, Thresholds
from kgents_health_scorer.recurrence import CALM_S
from kgents_health_scorer.traffic import SAMPLE_S
from kgents_shared.contract.section import Fault, Section

_BY_ID: Final = {check.id: check for checks in (CATALOGUE, *PROFILES.values()) for check in checks}
_GRADED: Final = {number: check for number, check in _BY_ID.items() if isinstance(check, GradedCheck)}


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `health-scorer`."""

    clusters: list[str] = []
    """Clusters that this instance may score; empty: all. Instances share them evenly, each cluster scored by one of
    them at a time."""

    tick_interval_s: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    """How often missing samples and long waits are searched for: how late they may be noticed."""

    calm_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = CALM_S
    """How long an entity must run without another restart, or a finding that comes and goes must stay away, before the
    alert ends. Longer than the ten minutes after which the kubelet takes a container for recovered."""

    traffic_sample_s: Annotated[float, msgspec.Meta(gt=0, le=3_600)] = SAMPLE_S
    """How long a sample of an application's traffic is: shorter ones are judged sooner, by fewer calls."""

    disabled_checks: list[str] = []
    """Checks that are never evaluated, by number: `[KG-102]`."""

    profiles: list[str] = []
    """Profiles of checks that are evaluated beside the usual ones: `[absolute]`, thresholds in absolute numbers."""

    thresholds: dict[str, Thresholds] = {}
    """Check → its thresholds instead of the catalogue's, all of them: `{KG-221: {warn: 100, crit: 1000}}`."""

    def faults(self) -> Iterator[Fault]:
        """Yield what would silently do nothing."""
        for place, number in enumerate(self.disabled_checks):
            yield from _unknown_check(f"disabled_checks[{place}]", number)
        for place, profile in enumerate(self.profiles):
            if profile not in PROFILES:
                yield Fault(f"profiles[{place}]", "a known profile", f'"{profile}"', f"known: {', '.join(PROFILES)}")
        for number, thresholds in self.thresholds.items():
            at = f"thresholds.{number}"
            if number not in _GRADED:
                yield from _unknown_check(at, number) or _ungraded(at, number)
            elif order := _GRADED[number].order_broken_by(thresholds):
                names = tuple(f"{at}.{each.name}" for each in structs.fields(thresholds))
                yield Fault(at, order, _shown(thresholds), "put them into this order", beside=names)

    def checks(self) -> tuple[Check, ...]:
        """The catalogue as these settings have it."""
        changed: dict[str, Check] = {
            number: structs.replace(_GRADED[number], thresholds=thresholds)
            for number, thresholds in self.thresholds.items()
        }
        wanted = [*CATALOGUE, *(check for profile in dict.fromkeys(self.profiles) for check in PROFILES[profile])]
        return tuple(changed.get(check.id, check) for check in wanted if check.id not in self.disabled_checks)


def _unknown_check(at: str, number: str) -> list[Fault]:
    if number in _BY_ID:
        return []
    near = next(iter(difflib.get_close_matches(number.upper(), _BY_ID, 1, 0.8)), "")
    meant = f"did you mean {near} ({_BY_ID[near].name})? " if near else ""
    advice = f"{meant}docs/reference/checks.md lists all {len(_BY_ID)}"
    return [Fault(at, "the number of a check", f'"{number}"', advice)]


def _ungraded(at: str, number: str) -> list[Fault]:
    found = f"{number} ({_BY_ID[number].name}), which judges a fact and has none"
    return [Fault(at, "a check with thresholds", found, "list it in disabled_checks to switch it off")]


def _shown(thresholds: Thresholds) -> str:
    given = ((field.name, getattr(thresholds, field.name)) for field in structs.fields(thresholds))
    return ", ".join(f"{name} {value:g}" for name, value in given if value is not None)
