"""KG-1xx, what an entity uses and how it answers: resource pulse → memory, CPU, errors. Part of the catalogue."""

from typing import Final

from kgents_health_scorer.checks.check import Check, SampleCheck, Thresholds
from kgents_shared.contract.pulse import Pulse, ResourcePulse
from kgents_shared.contract.vocabulary.figures import resource

REQUESTS_MIN_PER_S: Final = 1.0
"""Below this rate there is no verdict on errors: one lost request of two would be 50 %."""


def _memory_ratio(pulse: Pulse) -> float | None:
    if not isinstance(pulse, ResourcePulse) or pulse.memory_bytes is None or not pulse.memory_limit_bytes:
        return None
    try:
        return pulse.memory_bytes / pulse.memory_limit_bytes
    except OverflowError:  # JSON knows integers that no float can hold
        return None


def _cpu_ratio(pulse: Pulse) -> float | None:
    limit = pulse.custom.get(resource.CPU_LIMIT_PERCENT)
    if not isinstance(pulse, ResourcePulse) or pulse.cpu_percent is None or not limit:
        return None
    return pulse.cpu_percent / limit


def _error_rate(pulse: Pulse) -> float | None:
    requests_per_s = pulse.custom.get(resource.REQUESTS_PER_SEC)
    if requests_per_s is not None and requests_per_s < REQUESTS_MIN_PER_S:
        return None
    return pulse.custom.get(resource.ERROR_RATE)


CHECKS: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-101",
        name="memory near its limit",
        value=_memory_ratio,
        thresholds=Thresholds(warn=0.85, crit=0.95, fatal=1.0),
        unit="1",
        text="{entity} uses {value} of its memory limit (threshold {threshold}).",
        why="At the limit the kernel kills it. Raise the limit or find the leak.",
        source="Ours: above the usual 80 %, which a cache-heavy process reaches in good health; 100 % is where the "
        "kernel kills.",
    ),
    SampleCheck(
        id="KG-102",
        name="CPU near its limit",
        value=_cpu_ratio,
        thresholds=Thresholds(warn=0.9),
        unit="1",
        text="{entity} uses {value} of its CPU limit (threshold {threshold}).",
        why="At the limit it is throttled, so it responds more slowly. Raise the limit or give it less work.",
        source="Ours. Never critical, as in Prometheus' kubernetes-mixin, where CPUThrottlingHigh is for "
        "information: a throttled workload still works, and a batch job may use all it has.",
    ),
    SampleCheck(
        id="KG-103",
        name="requests fail",
        value=_error_rate,
        thresholds=Thresholds(warn=0.01, crit=0.05, fatal=0.5),
        unit="1",
        text="{entity} answers {value} of its requests with an error (threshold {threshold}).",
        why="Its users see errors. Check what it depends on first, then its latest change.",
        source="1 %: ten times the budget of a 99.9 % objective, near the 14.4 times at which the SRE workbook pages. "
        "A ratio beyond 100 % was sent in the wrong unit and is shown as it came.",
    ),
)
