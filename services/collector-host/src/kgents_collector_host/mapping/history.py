"""What the last hour says and one sample does not: when a file system is full, what was killed or restarted. Pure."""

from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import Final

from kgents_collector_host.sample import Sample

OOM_S: Final = 600.0
"""For how long a kill for memory counts as of late."""
RESTARTS_S: Final = 600.0
"""For how long a restart of a unit does."""
WINDOWS_S: Final = (3600.0, 1800.0, 600.0)
"""What grows in each of these is taken to go on: a copy that has ended, and a file of a nightly job, do not."""
STEP_S: Final = 60.0
FEWEST: Final = 6
"""Samples of the shortest window, so there is no forecast in the first minutes."""
FARTHEST_S: Final = 30 * 86_400.0


class History:
    """What was read of one machine in the last hour."""

    def __init__(self) -> None:
        self._kills: deque[tuple[float, int]] = deque()
        self._used: dict[str, deque[tuple[float, int]]] = {}
        self._restarts: dict[str, deque[tuple[float, int]]] = {}
        self._boot_id = ""

    def take(self, now: Sample) -> None:
        """The newest sample."""
        if now.machine.boot_id != self._boot_id:
            self._boot_id = now.machine.boot_id
            self._kills.clear()
        if (kills := now.events.get("oom_kill")) is not None:
            self._kills.append((now.time_s, kills))
            while len(self._kills) > 1 and self._kills[1][0] <= now.time_s - OOM_S:
                self._kills.popleft()
        self._take_restarts(now)
        known = {each.mount.point: each.space for each in now.file_systems}
        self._used = {point: samples for point, samples in self._used.items() if point in known}
        for point, space in known.items():
            samples = self._used.setdefault(point, deque())
            if space is not None and (not samples or now.time_s - samples[-1][0] >= STEP_S):
                samples.append((now.time_s, space.used_bytes))
                while samples[0][0] < now.time_s - WINDOWS_S[0]:
                    samples.popleft()

    def oom_kills(self) -> int | None:
        """How many processes were killed of late, as far as this was seen; None: the kernel does not count them."""
        return self._kills[-1][1] - self._kills[0][1] if self._kills else None

    def _take_restarts(self, now: Sample) -> None:
        if now.units is None:
            return
        units = {each.name: each.restarts for each in now.units}
        self._restarts = {name: samples for name, samples in self._restarts.items() if name in units}
        for name, restarts in units.items():
            samples = self._restarts.setdefault(name, deque())
            if samples and restarts < samples[-1][1]:  # started by request, which begins a new count
                samples.clear()
            samples.append((now.time_s, restarts))
            while len(samples) > 1 and samples[1][0] <= now.time_s - RESTARTS_S:
                samples.popleft()

    def restarts(self, unit: str) -> int:
        """How often systemd restarted a unit of late, as far as this was seen."""
        samples = self._restarts.get(unit)
        return samples[-1][1] - samples[0][1] if samples else 0

    def full_in_s(self, point: str, available_bytes: int) -> float | None:
        """When a file system is full. None: as far as is known, never."""
        samples = self._used.get(point, ())
        if not samples:
            return None
        newest_s = samples[-1][0]
        rates = [_rate([each for each in samples if each[0] >= newest_s - window_s]) for window_s in WINDOWS_S]
        slowest = min(rates)
        return left_s if slowest > 0 and (left_s := available_bytes / slowest) < FARTHEST_S else None


def _rate(samples: Sequence[tuple[float, int]]) -> float:
    """Bytes a second: the median over all pairs, which no burst moves (Theil and Sen). 0: not enough is known."""
    if len(samples) < FEWEST:
        return 0.0
    slopes = [
        (later - earlier) / (later_s - earlier_s)
        for place, (earlier_s, earlier) in enumerate(samples)
        for later_s, later in samples[place + 1 :]
    ]
    return median(slopes)
