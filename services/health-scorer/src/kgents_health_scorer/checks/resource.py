"""KG-1xx, what an entity uses and how it answers: resource pulse → memory, CPU, errors. Part of the catalogue."""

from typing import Final

from msgspec import UNSET

from kgents_health_scorer.checks.check import SPREAD, Check, Sample, SampleCheck, SeriesCheck, Thresholds, Usual, custom
from kgents_shared.contract.pulse import Pulse, Reading, ResourcePulse, field
from kgents_shared.contract.vocabulary.figures import resource

REQUESTS_MIN_PER_S: Final = 1.0
"""Below this rate there is no verdict on errors: one lost request of two would be 50 %."""


def _memory_ratio(pulse: Pulse, name: str) -> Reading:
    if not isinstance(pulse, ResourcePulse) or pulse.memory_limit_bytes == 0:
        return UNSET
    used: float | None = pulse.memory_bytes
    limit = pulse.memory_limit_bytes
    cache = pulse.custom.get(resource.MEMORY_CACHE_BYTES)
    if cache is not None and used is not None:
        used = max(used - cache, 0)  # it is dropped before anything is killed
    if used is None or limit is None:
        return _ratio(field(pulse, name, used), field(pulse, resource.MEMORY_LIMIT_BYTES, limit))
    return _ratio(used, limit)


def _cpu_ratio(pulse: Pulse, name: str) -> Reading:
    limit = pulse.custom.get(resource.CPU_LIMIT_PERCENT, UNSET)
    if not isinstance(pulse, ResourcePulse) or limit == 0:
        return UNSET
    used = pulse.cpu_percent
    return _ratio(used if used is not None else field(pulse, name, used), limit)


def _ratio(used: Reading, limit: Reading) -> Reading:
    """It applies if both do, and is known if both are."""
    if used is UNSET or limit is UNSET:
        return UNSET
    if used is None or limit is None:
        return None
    try:
        return used / limit
    except OverflowError:  # JSON knows integers that no float can hold
        return None


def _error_rate(pulse: Pulse, name: str) -> Reading:
    """With hardly any requests there is no verdict, and none is left open."""
    requests_per_s = pulse.custom.get(resource.REQUESTS_PER_SEC)
    if requests_per_s is not None and requests_per_s < REQUESTS_MIN_PER_S:
        return UNSET
    return custom(pulse, name)


def _cpu_samples(pulse: Pulse) -> tuple[Sample, ...]:
    ratio = _cpu_ratio(pulse, resource.CPU_PERCENT)
    return (Sample(ratio),) if ratio is not UNSET else ()


CHECKS: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-101",
        name="memory near its limit",
        figure=resource.MEMORY_BYTES,
        reads=_memory_ratio,
        thresholds=Thresholds(warn=0.85, crit=0.95, fatal=1.0),
        unit="1",
        text="{entity} uses {value} of its memory limit (threshold {threshold}).",
        why="At the limit the kernel kills it. Raise the limit or find the leak.",
        source="Ours: above the usual 80 %, which a cache-heavy process reaches in good health; 100 % is where the "
        "kernel kills. Cached files do not count where the source says how much they are.",
    ),
    SampleCheck(
        id="KG-102",
        name="CPU near its limit",
        figure=resource.CPU_PERCENT,
        reads=_cpu_ratio,
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
        figure=resource.ERROR_RATE,
        reads=_error_rate,
        thresholds=Thresholds(warn=0.01, crit=0.05, fatal=0.5),
        unit="1",
        text="{entity} answers {value} of its requests with an error (threshold {threshold}).",
        why="Its users see errors. Check what it depends on first, then its latest change.",
        source="1 %: ten times the budget of a 99.9 % objective, near the 14.4 times at which the SRE workbook pages. "
        "A ratio beyond 100 % was sent in the wrong unit and is shown as it came.",
    ),
    SeriesCheck(
        id="KG-111",
        name="CPU far above its usual",
        figure=resource.CPU_PERCENT,
        pulse=ResourcePulse,
        reads=_cpu_ratio,
        samples=_cpu_samples,
        measure="1",
        usual=Usual(resolution=0.02, least=0.6),
        thresholds=Thresholds(warn=3.0),
        at_once=6.0,
        unit=SPREAD,
        text="{entity} uses {value} of its CPU limit, usually {usual}.",
        why="Something else than its usual work keeps it busy: a loop, a batch, a neighbour in the same container. It "
        "may be throttled, and respond slowly, well before KG-102 says that it is at its limit. More requests than "
        "ever are a reason, too: compare them.",
        source="Ours: three spreads, so at least 2.9 times the usual, and at least 60 % of the limit, below which "
        "throttling is rare.",
    ),
)
