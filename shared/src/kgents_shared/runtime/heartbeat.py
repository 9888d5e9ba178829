"""The status of a service → a heartbeat on `kgents.meta.>`, metrics, and readiness: one source for all three."""

import asyncio
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from kgents_shared.bus.client import Bus
from kgents_shared.bus.dead_letters import DeadLetters
from kgents_shared.bus.log import LogPublisher
from kgents_shared.bus.publish import TTL, Publisher
from kgents_shared.bus.requests import is_tidying
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.turns import until_turn_s
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import encode
from kgents_shared.contract.meta import (
    HEARTBEAT_INTERVAL_S,
    HEARTBEAT_STATES,
    HEARTBEAT_TTL_S,
    READY_STATES,
    STALL_S,
    Cost,
    Heartbeat,
    Share,
    Storage,
)
from kgents_shared.contract.subjects import ROOT
from kgents_shared.contract.unread import Unread, bounded, of_subjects
from kgents_shared.contract.vocabulary.kinds import SOURCE
from kgents_shared.runtime.stall import StallMeter
from kgents_shared.runtime.telemetry import Telemetry

STORED_CHECK_S: Final = 0.1
"""How often a service that has put everything asks whether all of it is stored."""
REASON_CHARS: Final = 2_000
"""Of a heartbeat's reason, which repeats what others report: a heartbeat has to fit any server's max_payload."""


_ATTESTING: Final = ("in_sync", "degraded")
_Metric = tuple[str, str, str, Callable[[], float | None]]
"""Name, unit, description, and how to read it."""


class Status:
    """The status of one instance in one cluster. The service sets its state and `watermark`; the rest is counted."""

    def __init__(
        self,
        service: str,
        instance: str,
        version: str,
        started_at: datetime,
        *,
        source: str,
        share: Share | None,
        log: LogPublisher,
        dead_letters: DeadLetters,
    ) -> None:
        self.service = service
        self.instance = instance
        self.reason = ""
        self._state = "starting"
        self._attests_since_s = 0.0
        self._fault = ""
        self.unread: Sequence[Unread] = ()
        """What it could not read of its source."""
        self.watermark: dict[str, int] = {}
        """Stream → sequence up to which everything read has also been published."""
        self.lag_s: float | None = None
        """Seconds since the oldest change that is not yet published; None while it is not known."""
        self.behind: dict[str, int] | None = None
        """Stream → messages that wait at the edge; None: not known, or no edge."""
        self.storage: Storage | None = None
        """What it keeps in a database."""
        self.attests_all = False
        """Whether the last heartbeat says that all is published and stored, and the state is still the same."""
        self.conflicts = 0
        self.when_synced: Callable[[], None] | None = None
        """Called when everything that was published before is loaded, and the service at work."""
        self.backlogs: Callable[[], dict[str, float]] = dict
        """Receiver → for how many seconds the oldest of what it has yet to be sent has waited."""
        self._share = share
        self._version = version
        self._started_at = started_at
        self._source = source
        self._tables: dict[str, StateTable[Any]] = {}
        self._earlier_losses = 0
        self._filters: list[str] = []
        self._streams: list[str] = []
        self.stalls: StallMeter | None = None
        """Of the process."""
        self.denials: Callable[[], list[str]] = list
        """What the server does not permit our login, as far as that was tried."""
        self.answered_twice: Callable[[], str] = str
        """That a second stream stores what is published."""
        self.passed_over: Callable[[], str] = str
        """The NATS servers that were left for the one we use, and why."""
        self._log = log
        self._dead_letters = dead_letters
        self._cost = _CostMeter()
        self._changed = asyncio.Event()

    @property
    def state(self) -> str:
        """What is reported: as it was set, but nothing is attested before it is stored."""
        return "syncing" if self._waiting() else self._state

    def set(self, state: str, reason: str = "", *, unread: Sequence[Unread] = ()) -> None:
        """Change the state, and what is not attested; a change is reported at once, not only at the next heartbeat.

        What was put into a table before it attests is stored when that is reported. What is stopped stays so.
        """
        if state not in HEARTBEAT_STATES:
            raise ValueError(f"expected one of {', '.join(HEARTBEAT_STATES)}, found {state!r}")
        if (state, reason, unread) != (self._state, self.reason, self.unread) and self._state != "stopped":
            if self._state not in _ATTESTING:
                self._attests_since_s = time.monotonic()
            self._state, self.reason, self.unread = state, reason, unread
            self.attests_all = False
            self._changed.set()
            if self.when_synced is not None and state in _ATTESTING:
                self.when_synced()

    def _waiting(self) -> str:
        """What it may not attest yet, as a sentence: put before it began to attest, or waiting for long; else empty."""
        if self._state not in _ATTESTING:
            return ""
        now_s = time.monotonic()
        waits = [each.waits_since_s for each in self._tables.values()]
        since_s = min((each for each in waits if each is not None), default=None)
        if since_s is None or (since_s > self._attests_since_s and now_s - since_s <= HEARTBEAT_INTERVAL_S):
            return ""
        return f"{self.backlog} messages wait for NATS to store them, the first for {now_s - since_s:.0f} s"

    def note(self, fault: str) -> None:
        """What is wrong beside its work, which goes on: it is ready, and its heartbeat degraded. Empty: nothing is."""
        if fault != self._fault:
            self._fault = fault
            self._changed.set()

    def announce(self, share: Share) -> None:
        """Change what it shares with other instances."""
        if share != self._share:
            self._share = share
            self._changed.set()

    def writes(self, name: str, table: StateTable[Any], filters: Sequence[str]) -> None:
        """Count a table's rows, and report its subjects as written."""
        self._tables[name] = table
        self._filters += [filter_ for filter_ in filters if filter_ not in self._filters]

    def writes_log(self, filters: Sequence[str]) -> None:
        """Report the log subjects that are written."""
        self._filters += [filter_ for filter_ in filters if filter_ not in self._filters]

    def reads(self, stream: str) -> None:
        """Report the streams that are read."""
        if stream not in self._streams:
            self._streams.append(stream)

    def forget_tables(self) -> None:
        """Forget the tables of the previous run."""
        self._earlier_losses = self.losses
        self._tables.clear()
        self.backlogs = dict

    @property
    def is_active(self) -> bool:
        """Whether it writes, or is about to."""
        return self._state in ("syncing", *_ATTESTING)

    @property
    def is_sending(self) -> bool:
        """Whether a message of it is on its way."""
        return any(table.has_open for table in self._tables.values())

    def not_ready(self) -> str | None:
        """Why the service is not working; None when it is, or is a standby."""
        failures = [table.failure for table in self._tables.values() if table.failure]
        failures += [f"{signal}: {why}" for signal, why in self._log.failures.items()]
        if self.state not in READY_STATES:
            reason = self._waiting() or self.reason
            return f"{self.state}: {reason}" if reason else self.state
        return failures[0] if failures else None

    async def due(self) -> AsyncIterator[None]:
        """Each time a heartbeat is due: at a change, and every HEARTBEAT_INTERVAL_S or a moment later."""
        while True:
            self._changed.clear()
            yield
            with suppress(TimeoutError):
                async with asyncio.timeout(until_turn_s(HEARTBEAT_INTERVAL_S, or_later=True)):
                    await self._until_changed()

    async def _until_changed(self) -> None:
        """Return at a change, and when what waited is stored."""
        while self._waiting() and not self._changed.is_set():
            await asyncio.sleep(STORED_CHECK_S)
            if not self._waiting():
                return
        await self._changed.wait()

    def heartbeat(self, published: int, monotonic_s: float) -> Heartbeat:
        """The status as a message. What cannot be stored, as without permission, is not attested."""
        failures = {subject: why for table in self._tables.values() for subject, why in table.failures.items()}
        log_failures = self._log.failures
        described = [f"{name}: {why}" for name, why in (*failures.items(), *log_failures.items())]
        failure = described[0] if described else ""
        denial = self._denial([*self._tables, *({"pulse"} & log_failures.keys())])
        unstored = of_subjects(failures) or _all_of(next(iter(failures.values()), ""))
        unread = [*self.unread, *unstored, *self._unreported(denial)]
        if "pulse" in log_failures:  # what is published of an entity then hides how it is now
            unread.append(Unread(reason=f"samples are not stored: {log_failures['pulse']}"))
        twice = self.answered_twice()
        is_degraded = bool(failures or denial or "pulse" in log_failures or self._fault or twice)
        waiting = self._waiting()
        state = "syncing" if waiting else "degraded" if is_degraded and self._state == "in_sync" else self._state
        faults = (waiting, self.reason, twice, self._fault, failure, denial, self._cut(), self._buffer_fault())
        reason = "; ".join(filter(None, (*faults, self.passed_over())))[:REASON_CHARS]
        unread = bounded(unread) if failure or denial else list(self.unread)
        self.attests_all = state == "in_sync" and not unread
        return Heartbeat(
            text=f"{self.service} {self.instance} is {state.replace('_', ' ')}{f': {reason}' if reason else ''}",
            service=self.service,
            instance=self.instance,
            version=self._version,
            started_at=self._started_at,
            state=state,
            reason=reason,
            # A standby reads nothing, so it must not attest anything.
            source="" if self.state == "standby" else self._source,
            watermark=dict(self.watermark),
            lag_s=self.lag_s,
            behind=dict(self.behind) if self.behind is not None else None,
            published=published,
            rows=self.rows,
            conflicts=self.conflicts,
            dead_letters=self.dead_letters,
            spilled=self._log.spilled,
            spilled_bytes=self._log.spilled_bytes,
            spilled_max_bytes=self._log.spilled_max_bytes,
            evicted=self._log.evicted,
            publishes=self._filters,
            consumes=self._streams,
            cost=self._cost.read(monotonic_s, self.stalls),
            unread=unread,
            backlog_s=self.backlogs(),
            storage=self.storage,
            share=self._share,
        )

    def _denial(self, signals: Iterable[str]) -> str:
        """What is not permitted, beside messages of signals of which is known what could not be stored."""
        known = tuple(f'"{ROOT}.{signal}.' for signal in signals)
        found = [each for each in self.denials() if not any(begin in each.lower() for begin in known)]
        return min(found, key=is_tidying, default="")

    def _unreported(self, denial: str) -> list[Unread]:
        """What a denial covers: the source or the service itself, unless what a service publishes depends on it.

        The entities of a source are attested, but what else it reports is not complete.
        """
        if denial and (self._source or is_tidying(denial)):
            return [Unread(kind=SOURCE, name=self._source or self.service, reason=denial)]
        return _all_of(denial)

    def _cut(self) -> str:
        """What is published in part, as a sentence; mostly empty."""
        cut = [subject for table in self._tables.values() for subject in table.cut]
        more = f" and {len(cut) - 1} more" if len(cut) > 1 else ""
        return f"{cut[0]}{more} published in part: larger than the server's max_payload" if cut else ""

    def _buffer_fault(self) -> str:
        """That samples and events would be lost in an outage, as a sentence; mostly empty."""
        return f"the buffer on disk cannot be written: {self._log.fault}" if self._log.fault else ""

    @property
    def rows(self) -> int:
        """Subjects whose last value is held."""
        return sum(len(table.rows) for table in self._tables.values())

    @property
    def losses(self) -> int:
        """Messages found that a stream had lost."""
        return self._earlier_losses + sum(table.losses for table in self._tables.values())

    @property
    def dead_letters(self) -> int:
        """Messages that could not be read."""
        return self._dead_letters.count

    @property
    def backlog(self) -> int:
        """Subjects that wait to be published."""
        return sum(table.backlog for table in self._tables.values())


def _all_of(fault: str) -> list[Unread]:
    """Everything, if there is a fault."""
    return [Unread(reason=fault)] if fault else []


def observe(
    telemetry: Telemetry, statuses: Callable[[], Sequence[Status]], bus: Bus, log: LogPublisher, stalls: StallMeter
) -> None:
    """Expose the same as metrics: of all clusters that this instance runs for together, the worst or the sum."""

    def total(read: Callable[[Status], float]) -> Callable[[], float]:
        return lambda: sum(map(read, statuses()))

    now: list[_Metric] = [
        ("kgents.bus.connected", "1", "1 while connected to NATS", lambda: float(bus.is_connected)),
        ("kgents.in_sync", "1", "1 while in sync with what is watched", lambda: _is_in_sync(statuses())),
        ("kgents.lag", "s", "age of the oldest change not yet published", lambda: _lag_s(statuses())),
        ("kgents.notify.backlog", "s", "how long a notification has waited", lambda: _backlog_s(statuses())),
        ("kgents.clusters", "{cluster}", "clusters that this instance runs for", total(lambda each: each.is_active)),
        ("kgents.table.rows", "{subject}", "subjects whose last value is held", total(lambda each: each.rows)),
        ("kgents.table.backlog", "{subject}", "subjects waiting to be published", total(lambda each: each.backlog)),
        ("kgents.outbox.messages", "{message}", "messages waiting on disk", lambda: log.spilled),
        ("kgents.outbox.usage", "By", "size of the messages waiting on disk", lambda: log.spilled_bytes),
        ("kgents.outbox.limit", "By", "beyond which the oldest are dropped", lambda: log.spilled_max_bytes),
        ("kgents.outbox.fault", "1", "1 while the buffer cannot be written", lambda: float(bool(log.fault))),
        ("kgents.event_loop.longest_stall", "s", "longest computation, in CPU time", lambda: stalls.longest_s),
    ]
    since_start: list[_Metric] = [
        ("kgents.bus.reconnects", "{reconnect}", "connections lost", lambda: bus.reconnects),
        ("kgents.conflicts", "{conflict}", "times another writer was found", total(lambda each: each.conflicts)),
        ("kgents.losses", "{message}", "lost messages that were found", total(lambda each: each.losses)),
        ("kgents.dead_letters", "{message}", "messages dead-lettered", total(lambda each: each.dead_letters)),
        ("kgents.outbox.evicted", "{message}", "messages dropped, the oldest first", lambda: log.evicted),
        ("kgents.event_loop.stalls", "{stall}", f"computations of over {STALL_S:g} s", lambda: stalls.count),
    ]
    for name, unit, description, read in now:
        telemetry.gauge(name, unit, description, read)
    for name, unit, description, read in since_start:  # less once a cluster has gone to another instance: a reset
        telemetry.counter(name, unit, description, read)


def _is_in_sync(statuses: Sequence[Status]) -> float:
    active = [each for each in statuses if each.is_active]
    return float(bool(active) and all(each.state == "in_sync" for each in active))


def _backlog_s(statuses: Sequence[Status]) -> float | None:
    """None where nothing is notified."""
    active = [each.backlogs() for each in statuses if each.backlogs is not dict]
    return max((age_s for each in active for age_s in each.values()), default=0.0) if active else None


def _lag_s(statuses: Sequence[Status]) -> float | None:
    return max((each.lag_s for each in statuses if each.lag_s is not None), default=None)


async def beat(publisher: Publisher, cluster: str, status: Status, now: datetime) -> None:
    """Publish one heartbeat.

    Raises:
        BusError: it did not arrive; the next one may.
    """
    subject = subjects.build("meta", cluster=cluster, service=status.service, instance=status.instance)
    message = status.heartbeat(publisher.stored, asyncio.get_running_loop().time())
    await publisher.send_one(subject, encode(message), {TTL: f"{HEARTBEAT_TTL_S}s"})


class _CostMeter:
    """CPU since the last call, and memory now: what the service costs the machine it observes."""

    def __init__(self) -> None:
        self._cpu_s = 0.0
        self._at_s: float | None = None
        self._percent = 0.0

    def read(self, monotonic_s: float, stalls: StallMeter | None) -> Cost:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = usage.ru_utime + usage.ru_stime
        if self._at_s is not None and monotonic_s - self._at_s > HEARTBEAT_INTERVAL_S / 2:
            self._percent = 100 * (cpu_s - self._cpu_s) / (monotonic_s - self._at_s)
        if self._at_s is None or monotonic_s - self._at_s > HEARTBEAT_INTERVAL_S / 2:
            self._cpu_s, self._at_s = cpu_s, monotonic_s
        stall_s = stalls.lately_s(monotonic_s) if stalls is not None else 0.0
        return Cost(round(self._percent, 2), _memory_bytes(usage.ru_maxrss), longest_stall_s=round(stall_s, 3))


def _memory_bytes(peak: int) -> int:
    """Resident memory now; without /proc, its peak (in KiB, on macOS in bytes)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return peak if sys.platform == "darwin" else peak * 1024
