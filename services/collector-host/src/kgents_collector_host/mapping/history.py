"""What one sample does not say: when a file system is full, what was killed or restarted, since when. Pure."""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import Final

from kgents_collector_host.mapping.program import Program
from kgents_collector_host.mapping.scope import Scope
from kgents_collector_host.sample import Process, Sample
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import host as attribute

OOM_S: Final = 600.0
"""For how long a kill for memory counts as of late."""
RESTARTS_S: Final = 600.0
"""For how long a restart of a unit does."""
RESTARTING: Final = "Restarting"
"""The reason of one that was restarted so often of late that its state at a poll proves nothing."""
OFTEN: Final = 3
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
        self._restarted_at: dict[str, datetime] = {}
        self.killed_at: datetime | None = None
        """When the kernel last killed for memory, if that was of late."""
        self.unsynchronized_since: datetime | None = None
        """Since when nothing keeps the machine's clock right, as far as that was seen."""
        self.processes: Sequence[Process] = ()
        self.programs: Mapping[str, Program] = {}
        """Both of the sample before."""
        self._boot_id = ""

    def resume(self, published: Mapping[Ref, Entity], now: Sample, scope: Scope) -> None:
        """Go on from what is published of this run of the machine: when something was killed or restarted last.

        How often is not published, since it changes by itself: it was once at least, or as often as its reason says.
        """
        host = published.get(scope.host_ref)
        if host is None or host.uid != now.machine.boot_id:
            return
        self._boot_id = now.machine.boot_id
        self.unsynchronized_since = _published_time(host, attribute.CLOCK_UNSYNCHRONIZED_SINCE)
        killed_at, kills = _published_time(host, attribute.OOM_KILLED_AT), now.oom_kills
        if killed_at is not None and kills is not None:
            self.killed_at = killed_at
            self._kills.extend((_time_s(killed_at, now), count) for count in (kills - 1, kills))
        for unit in now.units or ():
            entity = published.get(scope.ref(kinds.UNIT, unit.name))
            restarted_at = _published_time(entity, attribute.UNIT_RESTARTED_AT)
            if entity is not None and restarted_at is not None:
                before = max(unit.restarts - (OFTEN if entity.reason == RESTARTING else 1), 0)
                self._restarted_at[unit.name] = restarted_at
                samples = ((_time_s(restarted_at, now), count) for count in (before, unit.restarts))
                self._restarts[unit.name] = deque(samples)

    def take(self, now: Sample) -> None:
        """The newest sample."""
        if now.machine.boot_id != self._boot_id:
            self._boot_id = now.machine.boot_id
            self._kills.clear()
            self.unsynchronized_since = None
        self._take_clock(now)
        if (kills := now.oom_kills) is not None:
            if self._kills and kills > self._kills[-1][1]:
                self.killed_at = now.at.replace(microsecond=0)
            self._kills.append((now.time_s, kills))
            while len(self._kills) > 1 and self._kills[1][0] <= now.time_s - OOM_S:
                self._kills.popleft()
            if not self.oom_kills():
                self.killed_at = None
        self._take_restarts(now)
        known = {each.mount.point: each.space for each in now.file_systems}
        self._used = {point: samples for point, samples in self._used.items() if point in known}
        for point, space in known.items():
            samples = self._used.setdefault(point, deque())
            if space is not None and (not samples or now.time_s - samples[-1][0] >= STEP_S):
                samples.append((now.time_s, space.used_bytes))
                while samples[0][0] < now.time_s - WINDOWS_S[0]:
                    samples.popleft()

    def _take_clock(self, now: Sample) -> None:
        if now.clock is not None and now.clock.is_synchronized:
            self.unsynchronized_since = None
        elif now.clock is not None and self.unsynchronized_since is None:
            self.unsynchronized_since = now.at.replace(microsecond=0)

    def unsynchronized_s(self, now: Sample) -> float | None:
        """For how long nothing has kept the clock right; None: the kernel does not say whether something does."""
        if now.clock is None:
            return None
        since = self.unsynchronized_since
        return max((now.at - since).total_seconds(), 0.0) if since is not None else 0.0

    def restarted_at(self, unit: str) -> datetime | None:
        """When systemd restarted a unit last, if that was of late."""
        return self._restarted_at.get(unit)

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
            if samples and restarts > samples[-1][1]:
                self._restarted_at[name] = now.at.replace(microsecond=0)
            samples.append((now.time_s, restarts))
            while len(samples) > 1 and samples[1][0] <= now.time_s - RESTARTS_S:
                samples.popleft()
        self._restarted_at = {name: at for name, at in self._restarted_at.items() if self.restarts(name)}

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


def _published_time(entity: Entity | None, name: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(entity.attributes.get(name))) if entity is not None else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def _time_s(at: datetime, now: Sample) -> float:
    """A time by the clock of samples."""
    return now.time_s - max((now.at - at).total_seconds(), 0.0)


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
