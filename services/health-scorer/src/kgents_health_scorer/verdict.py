"""What checks find of one entity, and what that makes together: findings → score and level → `reducer.py`. Pure."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from kgents_health_scorer import score
from kgents_health_scorer.checks.check import AgeCheck, Check, RestartCheck, SampleCheck, SeriesCheck, StateCheck
from kgents_health_scorer.traffic import SAMPLE_S
from kgents_shared.contract.health import Reason
from kgents_shared.contract.pulse import Pulse, Reading
from kgents_shared.contract.topology import TopologyEntity

WELL: Final = ("healthy", 1.0)
"""Level and score of an entity of which nothing is found."""


class Limit(NamedTuple):
    """Where one figure of pulses is fine."""

    reads: Callable[[Pulse, str], Reading]
    figure: str
    is_higher_worse: bool
    badness: float
    """From which on it may be a finding."""
    bit: int
    """That stands for it."""


class Checks(msgspec.Struct, frozen=True):
    """The checks that apply to one kind, by sort."""

    states: tuple[StateCheck, ...]
    ages: tuple[AgeCheck, ...]
    samples: tuple[SampleCheck, ...]
    restarts: tuple[RestartCheck, ...] = ()
    series: tuple[SeriesCheck, ...] = ()
    by_id: dict[str, Check] = {}
    sample_s: float = SAMPLE_S
    """How long a sample of traffic is."""
    limits: tuple[Limit, ...] = ()
    """Those of the samples."""


def checks_of(kind: str, checks: Iterable[Check], system: str = "", sample_s: float = SAMPLE_S) -> Checks:
    """Those out of a catalogue that apply to a kind, of a database system if that is known."""
    fitting = [
        check
        for check in checks
        if (not check.applies_to or kind in check.applies_to)
        and (not check.systems or not system or system in check.systems)
    ]
    samples = tuple(check for check in fitting if isinstance(check, SampleCheck))
    return Checks(
        tuple(check for check in fitting if isinstance(check, StateCheck)),
        tuple(check for check in fitting if isinstance(check, AgeCheck)),
        samples,
        tuple(check for check in fitting if isinstance(check, RestartCheck)),
        tuple(check for check in fitting if isinstance(check, SeriesCheck)),
        {check.id: check for check in fitting},
        sample_s,
        tuple(_limit(each, 1 << number) for number, each in enumerate(samples)),
    )


def _limit(check: SampleCheck, bit: int) -> Limit:
    # What only reads a figure is asked without the detour: NaN is fine nowhere.
    reads = check.reads if type(check) is SampleCheck else lambda pulse, _: check.value(pulse)
    return Limit(reads, check.figure, check.worse == "higher", check.badness(check.thresholds.given[0]), bit)


class Finding(msgspec.Struct, frozen=True):
    """One check that found something."""

    check: Check
    reason: Reason
    is_suspect: bool = False
    """Beyond a threshold, but it may be a blip: no reason for the level, only a pending alert."""
    began: datetime | None = None
    """When it began, if that is known better than "now"."""
    is_covered: bool = False
    """Whether another entity has the alert for the same cause: the pod of a container, or the other way round."""


class Verdict(msgspec.Struct, frozen=True):
    """What all checks together find."""

    score: float
    level: str
    findings: list[Finding]
    """Suspects among them."""
    reasons: list[Reason]
    """Worst first."""
    evaluated: int
    applicable: int
    learning: list[str]
    """Checks that do not know yet what is usual."""


def verdict_of(findings: list[Finding], evaluated: int, applicable: int, learning: list[str]) -> Verdict:
    """The verdict of all findings."""
    firm = [each for each in findings if not each.is_suspect]
    reasons = sorted((each.reason for each in firm), key=lambda reason: (-reason.severity, reason.check))
    all_known = not any(isinstance(each.check, StateCheck) and each.check.means_unknown for each in firm)
    number, level = score.judge([reason.severity for reason in reasons], all_known=all_known)
    return Verdict(number, level, findings, reasons, evaluated, applicable, learning)


def is_plain(entity: TopologyEntity) -> bool:
    """Whether it does what it is for, as far as its source says."""
    return entity.status == "succeeded" or (entity.status == "running" and not entity.reason)
