"""For each check of comparisons: an interval beyond its first threshold, and one short of it."""

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import DatabasePulse, Pulse
from support.health_inputs import START


def interval(low: str, high: str, ends: tuple[float, float]) -> DatabasePulse:
    """A share between these ends."""
    return DatabasePulse(
        ref=Ref("c1", "comparison", "articles"), source="db", backend="coherency", timestamp=START, interval_s=300,
        phase="healthy", custom={low: ends[0], high: ends[1]},
    )  # fmt: skip


def two(low: str, high: str, beyond: tuple[float, float], short: tuple[float, float]) -> tuple[Pulse, Pulse]:
    return interval(low, high, beyond), interval(low, high, short)


PULSES = {
    "KG-392": two("coherency_rate_low", "coherency_rate_high", (0.95, 0.98), (0.992, 0.995)),
    "KG-393": two("coherency_ghost_rate_low", "coherency_ghost_rate_high", (0.02, 0.05), (0.001, 0.009)),
}
