"""Published incidents and routes → what each receiver should know → its courier. One dispatcher for each cluster.

Only what is on the stream is notified: a revision that a crash could take back is none. What time alone changes, such
as an escalation or the end of a silence, is found by a sweep over all live incidents.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec
import structlog

from kgents_alert_notifier.config import Config
from kgents_alert_notifier.delivery import digest, problem
from kgents_alert_notifier.delivery.courier import Courier, Flood
from kgents_alert_notifier.delivery.decide import Desired
from kgents_alert_notifier.delivery.ledger import Ledger
from kgents_alert_notifier.delivery.target import Target, target_of
from kgents_alert_notifier.message.alertmanager import watchdog
from kgents_alert_notifier.message.facts import Facts
from kgents_alert_notifier.receivers.alertmanager import Alertmanager
from kgents_alert_notifier.receivers.deadman import Deadman
from kgents_alert_notifier.receivers.make import make, names_of
from kgents_alert_notifier.receivers.receiver import Receiver
from kgents_alert_notifier.routing.router import Router
from kgents_shared.bus.config import late_faults
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract import subjects
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.notice import Notice
from kgents_shared.runtime.service import Context

TICK_S: Final = 0.5
SWEEP_TICKS: Final = 10
"""Ticks between two sweeps over all that is open: how late an escalation may be."""
KEPT_DAYS: Final = 7
"""How long notices of a problem that has ended are kept."""
STILL_S: Final = 30.0
"""The server's time that comes with what is read stands still for so long only if a stream cannot be read."""
NEVER: Final = 1_000_000_000

_log = structlog.get_logger(__name__)


class _Reported(msgspec.Struct):
    """Problems of receivers, as the others know them."""

    open: set[str] = msgspec.field(default_factory=set)
    over: set[str] = msgspec.field(default_factory=set)
    """Someone knows the end of it."""


class Dispatcher:
    """Every receiver of one cluster."""

    def __init__(
        self,
        context: Context[Config],
        incidents: StateTable[Incident],
        notices: StateTable[Notice],
        router: Router,
        now: Callable[[], datetime],
    ) -> None:
        """`run` needs both tables to be loaded. `now` is the server's time."""
        self._context = context
        self._incidents = incidents
        self._router = router
        self._now = now
        self._ledger = Ledger(notices, context.cluster, context.clock)
        self._notices = notices
        self._live: set[str] = set()
        self._changed: set[str] = set()
        config = context.config
        self._names = {name: names_of(name, each) for name, each in config.all_receivers().items()}
        self._receivers: dict[str, Receiver] = {}
        self._deadmen: list[Deadman] = []
        if config.enabled:
            for name, each in config.all_receivers().items():
                if each.deadman is not None:
                    self._deadmen.append(Deadman(each.deadman, context.cluster))
                else:
                    self._receivers |= make(name, each, context.clock.now, has_buttons=config.inbound.has_buttons)
        self._couriers = {name: self._courier(name, each) for name, each in self._receivers.items()}
        self._problems: dict[str, Incident] = {}
        self._secretless: list[str] = []
        self._began: datetime = context.clock.now()
        self._read_until = (self._began, context.clock.monotonic_s())  # by the server's clock, and when that was heard

    def note(self, incident: Incident) -> None:
        """An incident is about to be published, or removed."""
        self._changed.add(incident.id)

    async def run(self) -> None:
        """Keep all receivers informed. Never returns."""
        self._ledger.found()
        self._began = self._now()
        self._context.status.backlogs = self._backlogs
        async with asyncio.TaskGroup() as tasks:
            for courier in self._couriers.values():
                tasks.create_task(courier.run())
            for name, receiver in self._receivers.items():
                if isinstance(receiver, Alertmanager):
                    tasks.create_task(receiver.resend(partial(self._delivered, name), self._watchdog))
            for deadman in self._deadmen:
                tasks.create_task(self._ping(deadman))
            await self._watch()

    # What each receiver should know

    async def _watch(self) -> None:
        self._changed |= {row.message.id for row in self._incidents.rows.values()}
        tick = 0
        while True:
            if tick % SWEEP_TICKS == 0:
                await self._sweep()
            time_slice = TimeSlice()
            for incident in list(self._changed):
                self._evaluate(incident)
                await time_slice.checkpoint()
            self._context.status.note("; ".join(filter(None, (self._unread(), *self._secretless))))
            tick += 1
            await self._context.clock.sleep(TICK_S)

    def _evaluate(self, incident: str) -> None:
        subject = self._subject(incident)
        row = self._incidents.rows.get(subject)
        if row is None:
            if self._is_removed(incident):
                self._changed.discard(incident)
                self._live.discard(incident)
            return
        if self._incidents.desired(subject) == row.message:
            self._changed.discard(incident)
        message = row.message
        wanted = self._router.wanted(message, self._now())
        receivers = {name: wanted[route] for route in wanted for name in self._names.get(route, ())}
        for name, courier in self._couriers.items():
            target = target_of(message, receivers.get(name), self._ledger.notice(name, incident))
            if target is not None:
                courier.want(target)
            else:
                courier.withdraw(incident)
        is_settled = message.state == "resolved" and not any(
            each.waits_for(incident) for each in self._couriers.values()
        )
        (self._live.discard if is_settled else self._live.add)(incident)

    async def _sweep(self) -> None:
        """Everything that is evaluated again, and what is not an incident: digests and problems of receivers."""
        self._changed |= self._live
        self._secretless = self._missing_secrets()
        for courier in self._couriers.values():
            courier.retry_refused()
        reported = _Reported()
        time_slice = TimeSlice()
        for notice in list(self._ledger.notices()):
            if notice.entries:
                self._resume_digest(notice)
            elif problem.receiver_of(notice.incident):
                self._note_reported(notice, reported)
            elif self._is_removed(notice.incident):
                self._ledger.forget(notice)
            await time_slice.checkpoint()
        self._report_problems(reported)

    def _is_removed(self, incident: str) -> bool:
        subject = self._subject(incident)
        return (
            subject not in self._incidents.rows
            and not self._incidents.is_open(subject)
            and self._incidents.desired(subject) is None
        )

    def _resume_digest(self, notice: Notice) -> None:
        """Have the receiver know what a digest lists, also that all of it is over."""
        entries = [found for each in digest.revisions(notice) if (found := self._published(each)) is not None]
        if not entries:
            self._ledger.forget(notice)
        elif (courier := self._couriers.get(notice.receiver)) is not None:
            message = digest.as_incident(notice.incident, entries)
            courier.want(Target(message, Desired(message.revision, message.state), entries=entries))

    def _note_reported(self, notice: Notice, reported: "_Reported") -> None:
        """Collect the problems that receivers take for open, or for over; what ended days ago is removed."""
        at = notice.delivered_at
        if notice.delivered_state != "resolved":
            reported.open.add(notice.incident)
            return
        reported.over.add(notice.incident)
        if at is not None and (self._now() - at).days >= KEPT_DAYS:
            self._ledger.forget(notice)

    def _report_problems(self, reported: "_Reported") -> None:
        """Have the others know of a receiver that cannot be informed, and of the end of that once it is proven."""
        now, cluster = self._now(), self._context.cluster
        current: dict[str, Incident] = {}
        for name, courier in self._couriers.items():
            if why := courier.problem:
                ongoing = sorted({*reported.open, *self._problems} - reported.over)
                of_this = (each for each in ongoing if problem.receiver_of(each) == name)
                id_ = next(of_this, problem.problem_id(name, now))
                known = self._problems.get(id_)
                current[id_] = known or problem.as_incident(cluster, id_, why, since=now, now=now)
        for id_, message in current.items():
            for name in self._others(problem.receiver_of(id_), message):
                self._couriers[name].want(Target(message, Desired(message.revision, message.state)))
        for id_ in {*reported.open, *self._problems} - current.keys():
            concerned = self._couriers.get(problem.receiver_of(id_))
            if concerned is None or concerned.is_proven:
                message = problem.as_incident(cluster, id_, "", since=now, now=now)
                for courier in self._couriers.values():
                    courier.want(Target(message, Desired(message.revision, message.state)))
            elif id_ in self._problems:
                current[id_] = self._problems[id_]
        self._problems = current

    def _others(self, broken: str, message: Incident) -> list[str]:
        """The receivers that routes name for it, without the broken one; all others if they name none."""
        routed = [name for route in self._router.wanted(message, self._now()) for name in self._names.get(route, ())]
        others = [name for name in routed if name != broken and name in self._couriers]
        return others or [name for name in self._couriers if name != broken]

    # What else is sent

    def _delivered(self, receiver: str, within_s: float) -> Iterator[Facts]:
        """What a receiver was sent that is open, or was resolved within so many seconds."""
        links, now = self._context.config.links, self._now()
        for notice in list(self._ledger.notices()):
            if (
                notice.receiver != receiver
                or not notice.delivered
                or (found := self._published(notice.incident) or self._problems.get(notice.incident)) is None
            ):
                continue
            ended = found.ended_at
            if ended is None or (now - ended).total_seconds() < within_s:
                yield Facts(
                    incident=found,
                    known_state=notice.delivered_state,
                    known_revision=notice.delivered,
                    links=links,
                )

    def _backlogs(self) -> dict[str, float]:
        """Receiver → for how many seconds the oldest of what it has yet to know has waited, if anything has."""
        ages = ((name, courier.backlog_s) for name, courier in self._couriers.items())
        return {name: round(age_s, 1) for name, age_s in ages if age_s > 0}

    def _watchdog(self, lasts_s: float) -> dict[str, Any] | None:
        """The alert that fires as long as alerts can be delivered."""
        if why := self._not_well():
            _log.warning("watchdog_not_sent", why=why)
            return None
        backlog_s = max(self._backlogs().values(), default=0.0)
        return watchdog(self._context.cluster, since=self._began, now=self._now(), lasts_s=lasts_s, backlog_s=backlog_s)

    async def _ping(self, deadman: Deadman) -> None:
        """Say that alerts can be delivered, while they can."""
        try:
            while True:
                if not (why := self._not_well()):
                    why = await deadman.ping(max(self._backlogs().values(), default=0.0))
                if why:
                    _log.warning("deadman_not_pinged", why=why)
                await self._context.clock.sleep(deadman.every_s)
        finally:
            await deadman.close()

    def _not_well(self) -> str:
        """Why alerts may not reach people; a receiver that refuses is reported to the others instead."""
        context = self._context
        if not (context.bus.is_connected and context.lease.is_valid):
            return "NATS is away"
        if failure := self._notices.failure or self._incidents.failure or self._unread():
            return failure
        stuck = [name for name, courier in self._couriers.items() if courier.problem]
        return f"no receiver can be notified: {', '.join(stuck)}" if stuck and len(stuck) == len(self._couriers) else ""

    def _unread(self) -> str:
        """Why what is wrong may not be known, while NATS is there; empty: it is known."""
        now, now_s = self._now(), self._context.clock.monotonic_s()
        if now != self._read_until[0] or not self._context.bus.is_connected:
            self._read_until = now, now_s
        is_still = now_s - self._read_until[1] > STILL_S
        return f"a stream cannot be read since {now:%H:%M:%S} UTC; see `kgents doctor`" if is_still else ""

    def _missing_secrets(self) -> list[str]:
        """What some receivers wait for, while the others are notified."""
        config = self._context.config
        found = [str(each) for each in late_faults(config, self._context.service.name)] if config.enabled else []
        for each in found:
            if each not in self._secretless:
                _log.warning("secret_missing", fault=each)
        return found

    def _published(self, incident: str) -> Incident | None:
        row = self._incidents.rows.get(self._subject(incident))
        return row.message if row is not None else None

    def _subject(self, incident: str) -> str:
        return subjects.build("incident", cluster=self._context.cluster, incident=incident)

    def _courier(self, name: str, receiver: Receiver) -> Courier:
        config, context = self._context.config, self._context
        is_grouping = isinstance(receiver, Alertmanager)  # it groups by itself
        flood = Flood(NEVER if is_grouping else config.flood.waiting, config.flood.worst)
        return Courier(name, receiver, self._ledger, context.clock, flood=flood, links=config.links)
