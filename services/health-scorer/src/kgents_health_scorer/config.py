"""Settings of health-scorer: which clusters, which checks, which thresholds → the catalogue in use."""

import difflib
from typing import Annotated, Final

import msgspec
from msgspec import structs

from kgents_health_scorer.checks import CATALOGUE, PROFILES
from kgents_health_scorer.checks.check import Check, GradedCheck, Thresholds

_BY_ID: Final = {check.id: check for checks in (CATALOGUE, *PROFILES.values()) for check in checks}
_GRADED: Final = {number: check for number, check in _BY_ID.items() if isinstance(check, GradedCheck)}


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `health-scorer`."""

    clusters: list[str] = []
    """Which clusters this instance scores. Empty: all."""

    tick_interval_s: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    """How often missing samples and long waits are looked for: how late they may be noticed."""

    disabled_checks: list[str] = []
    """Checks that are never asked, by number: `[KG-102]`."""

    profiles: list[str] = []
    """Profiles of checks that are asked beside the usual ones: `[absolute]`, thresholds in absolute numbers."""

    thresholds: dict[str, Thresholds] = {}
    """Check → its thresholds instead of the catalogue's, all of them: `{KG-221: {warn: 100, crit: 1000}}`."""

    def __post_init__(self) -> None:
        """Refuse what would silently do nothing.

        Raises:
            ValueError: a check or profile that does not exist, a check without thresholds, or
                thresholds out of order.
        """
        for given in (*self.disabled_checks, *self.thresholds):
            if given not in _BY_ID:
                near = difflib.get_close_matches(given.upper(), _BY_ID, 1)
                raise ValueError(f"unknown check {given!r}; " + _advice(near))
        for profile in self.profiles:
            if profile not in PROFILES:
                raise ValueError(f"unknown profile {profile!r}; known: {', '.join(PROFILES)}")
        for given in self.thresholds:
            if given not in _GRADED:
                raise ValueError(f"{given} ({_BY_ID[given].name}) looks at a fact, which has no thresholds")
        self.checks()

    def checks(self) -> tuple[Check, ...]:
        """The catalogue as these settings have it."""
        changed: dict[str, Check] = {
            number: structs.replace(_GRADED[number], thresholds=thresholds)
            for number, thresholds in self.thresholds.items()
        }
        wanted = [*CATALOGUE, *(check for profile in dict.fromkeys(self.profiles) for check in PROFILES[profile])]
        return tuple(changed.get(check.id, check) for check in wanted if check.id not in self.disabled_checks)


def _advice(near: list[str]) -> str:
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(_BY_ID)}"
