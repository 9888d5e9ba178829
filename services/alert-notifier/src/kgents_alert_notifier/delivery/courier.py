"""One receiver at work: what it should know → one request at a time → notices. One that hangs delays no other."""

import asyncio
import random
from collections.abc import Mapping
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from kgents_alert_notifier.delivery import digest
from kgents_alert_notifier.delivery.decide import (
    DEADLINE_S,
    REQUEST_S,
    Desired,
    Own,
    Rest,
    Send,
    Wait,
    Write,
    decide,
    is_news,
    message_id,
    searched,
)
from kgents_alert_notifier.delivery.ledger import Ledger
from kgents_alert_notifier.delivery.outcome import (
    Delivered,
    Found,
    InDoubt,
    NotSent,
    Outcome,
    Refused,
    Unanswered,
)
from kgents_alert_notifier.delivery.retry import ASKED_MAX_S, REFUSED_S, backoff_s
from kgents_alert_notifier.delivery.target import Target
from kgents_alert_notifier.message.facts import Facts, Links
from kgents_alert_notifier.receivers.receiver import Receiver
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.notice import Notice
from kgents_shared.runtime.clock import Clock

IDLE_S: Final = 60.0
STUCK_S: Final = 600.0
"""A receiver that takes nothing for so long is reported to the others."""

_log = structlog.get_logger(__name__)


class Flood(msgspec.Struct, frozen=True):
    """When many incidents become one digest."""

    waiting: int
    worst: int


class Courier:
    """Keeps one receiver informed."""

    def __init__(
        self, name: str, receiver: Receiver, ledger: Ledger, clock: Clock, *, flood: Flood, links: Links
    ) -> None:
        self.name = name
        self._receiver = receiver
        self._ledger = ledger
        self._clock = clock
        self._flood = flood
        self._links = links
        self._targets: dict[str, Target] = {}
        self._paused_s = 0.0
        self._failures = 0
        self._refused_with: dict[str, str] = {}  # incident → a digest of the secrets that it was refused with
        self._in_digest: set[str] = set()  # incidents that a digest is about to report
        self._at_work = ""  # the incident that it is being informed of: what was begun is finished
        self._wake = asyncio.Event()
        self.failing_since_s: float | None = None
        """Since when no request was successful; None: the last one was."""
        self.is_proven = False
        """Whether the last request was successful; not known after a start."""
        self._has_problem = False
        self._failure = ""

    @property
    def waiting(self) -> int:
        """For how many incidents it has yet to be informed."""
        return len(self._targets)

    @property
    def backlog_s(self) -> float:
        """For how long the oldest of what it has yet to know has waited, in seconds."""
        now_s = self._clock.monotonic_s()
        return max((now_s - each.since_s for each in self._targets.values() if each.since_s < now_s), default=0.0)

    def want(self, target: Target) -> None:
        """Have the receiver know this; what it knows already costs nothing."""
        incident = target.incident.id
        if incident in self._in_digest:
            return
        notice = self._ledger.notice(self.name, incident)
        is_needed = notice.sending or is_news(notice, target.desired) or self._unmarked(target, notice)
        if not is_needed and incident != self._at_work:
            self.withdraw(incident)
            return
        self._in_digest.update(each.id for each in target.entries if not target.desired.is_over)
        before = self._targets.get(incident)
        if before is not None and before.desired == target.desired:
            target.due_s, target.since_s = before.due_s, before.since_s
        else:
            if is_news(notice, target.desired):
                target.due_s = self._regrouped_s(notice, target)
            target.since_s = max(target.due_s, self._clock.monotonic_s())
            if before is not None:  # what came since has not made it wait for less long
                target.since_s = min(target.since_s, before.since_s)
        self._targets[incident] = target
        self._wake.set()

    def withdraw(self, incident: str) -> None:
        """Not have it know of this one any more: it was silenced, rerouted, or is over. What was begun is finished."""
        if (target := self._targets.get(incident)) is None or incident == self._at_work:
            return
        if self._ledger.notice(self.name, incident).sending:
            return
        del self._targets[incident]
        self._refused_with.pop(incident, None)
        self._in_digest.difference_update(each.id for each in target.entries)

    def waits_for(self, incident: str) -> bool:
        """Whether it has yet to be informed of this one."""
        return incident in self._targets or incident in self._in_digest

    @property
    def problem(self) -> str:
        """Why it cannot be informed: something is refused, or it has failed for long. Empty: it can, or may.

        It stays so, also once all that is over, until a request is successful and nothing is refused.
        """
        since_s = self.failing_since_s
        is_stuck = since_s is not None and self._clock.monotonic_s() >= since_s + STUCK_S and bool(self._targets)
        is_bad = bool(self._refused_with) or (since_s is not None and (is_stuck or self._has_problem))
        self._has_problem = is_bad
        return self._failure if is_bad else ""

    def retry_refused(self) -> None:
        """Let what was refused be tried again if the secrets have changed."""
        now = self._receiver.secrets() if self._refused_with else ""
        for incident in [each for each, then in self._refused_with.items() if then != now]:
            del self._refused_with[incident]
            if incident in self._targets:
                self._targets[incident].due_s = 0.0
                self._wake.set()

    async def run(self) -> None:
        """Inform it, one incident after the other. Never returns."""
        self._resume_pause()
        try:
            while True:
                incident = self._next()
                if incident is None:
                    await self._idle()
                    continue
                self._at_work = incident
                await self._deliver(incident)
                self._at_work = ""
                await self._clock.sleep(self._receiver.pause_s)
        finally:
            await self._receiver.close()

    def _resume_pause(self) -> None:
        """Keep the pause that the receiver asked the process before this one for."""
        paused = self._ledger.paused(self.name)
        if paused is None or paused.paused_until is None:
            return
        rest_s = min((paused.paused_until - self._clock.now()).total_seconds(), ASKED_MAX_S)
        now_s = self._clock.monotonic_s()
        self._paused_s, self.failing_since_s, self._failure = now_s + rest_s, now_s, paused.failure
        _log.info("receiver_still_paused", receiver=self.name, rest_s=round(rest_s))

    # What is next

    def _next(self) -> str | None:
        now_s = self._clock.monotonic_s()
        if now_s < self._paused_s:
            return None
        ready = [each for each in self._targets.values() if each.due_s <= now_s]
        if not ready:
            return None
        openings = [each.incident for each in ready if self._is_opening(each)]
        _, rest = digest.split(openings, at_most=self._flood.waiting, worst=self._flood.worst)
        if rest:
            return self._begin_digest(rest)
        return digest.worst_first([each.incident for each in ready])[0].id

    def _is_opening(self, target: Target) -> bool:
        """Whether the receiver has never been sent anything of it."""
        notice = self._ledger.notice(self.name, target.incident.id)
        return not (notice.delivered or notice.unconfirmed or notice.sending or target.entries)

    def _begin_digest(self, incidents: list[Incident]) -> str:
        entries = digest.entries_of(incidents)
        found = digest.as_incident(digest.digest_id(self.name, entries), incidents)
        since_s = min(self._targets[each.id].since_s for each in incidents)
        for each in incidents:
            del self._targets[each.id]
            self._in_digest.add(each.id)
        self._targets[found.id] = Target(
            found, Desired(found.revision, found.state), entries=incidents, since_s=since_s
        )
        _log.info("digest_begun", receiver=self.name, digest=found.id, incidents=len(incidents))
        return found.id

    def _regrouped_s(self, notice: Notice, target: Target) -> float:
        """When news of an incident that has not changed its state may be sent."""
        facts = self._facts(notice, target, may_repeat=False)
        if facts.changes_state or notice.delivered_at is None:
            return 0.0
        age_s = (self._clock.now() - notice.delivered_at).total_seconds()
        rest_s = min(max(target.regroup_s - age_s, 0.0), target.regroup_s)  # whatever the clock has been set to since
        return self._clock.monotonic_s() + rest_s

    async def _idle(self) -> None:
        now_s = self._clock.monotonic_s()
        first_s = min((each.due_s for each in self._targets.values()), default=now_s + IDLE_S)
        pause_s = max(min(max(first_s, self._paused_s) - now_s, IDLE_S), 0.0)
        self._wake.clear()
        try:
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    # One incident

    async def _deliver(self, incident: str) -> None:
        """Take steps until there is nothing to do for now."""
        own: Own | None = None
        while (target := self._targets.get(incident)) is not None:
            notice = self._ledger.notice(self.name, incident)
            now_s = self._clock.monotonic_s()
            if own is None and target.due_s > now_s:  # replaced meanwhile by what may wait, such as growth
                return
            step = decide(notice, target.desired, own, found_s=self._ledger.found_s, now_s=now_s)
            match step:
                case Rest():
                    await self._done(target, notice)
                    return
                case Wait(until_s):
                    target.due_s = until_s
                    return
                case Send() if own is not None:
                    await self._request(target, notice, own, step)
                case Write(written, intent):
                    failed = own.outcome if own is not None else None
                    retry_s = self._note(target, written, failed) if failed is not None else None
                    own = Own(intent, now_s + DEADLINE_S) if intent is not None else None
                    asked_s = failed.retry_s if isinstance(failed, NotSent | InDoubt) else None
                    written = self._with_entries(written, target)
                    await self._ledger.store(written, retry_s=retry_s, asked_s=asked_s)
                    if retry_s is not None:
                        return
                case _:
                    raise AssertionError("only an intent of its own is sent")

    async def _request(self, target: Target, notice: Notice, own: Own, step: Send) -> None:
        """Search if that may settle a doubt, then send; the outcome is the intent's."""
        deadline_s = min(REQUEST_S, step.deadline_s - self._clock.monotonic_s())
        facts = self._facts(notice, target, may_repeat=step.may_repeat)
        if step.may_repeat:
            own.search = await self._receiver.find(facts, notice.handle, deadline_s / 2)
            if isinstance(own.search, Unanswered):
                own.outcome = NotSent(own.search.why, own.search.retry_s)
                return
            notice = searched(notice, own.search)
            deadline_s /= 2
            if not is_news(notice, own.desired):
                own.outcome = Delivered() if isinstance(own.search, Found) else NotSent("not needed")
                return
            facts = self._facts(notice, target, may_repeat=notice.unconfirmed > 0)
        key = message_id(target.incident.id, own.desired.revision, self.name)
        own.outcome = await self._send(facts, key, notice.handle, deadline_s)

    async def _send(self, facts: Facts, key: str, handle: Mapping[str, str], deadline_s: float) -> Outcome:
        try:
            async with asyncio.timeout(deadline_s):
                return await self._receiver.send(facts, key, handle, deadline_s)
        except TimeoutError:
            return InDoubt("no answer within the deadline")
        except Exception as error:  # noqa: BLE001 - a fault of one receiver must stop no other one
            _log.error("receiver_failed", receiver=self.name, error=type(error).__name__)  # its text may hold a secret
            return InDoubt(f"unexpected {type(error).__name__}")

    def _note(self, target: Target, notice: Notice, outcome: Outcome) -> float | None:
        """Decide when to try again after a request; None: nothing failed."""
        now_s = self._clock.monotonic_s()
        if isinstance(outcome, Delivered):
            if outcome.is_requested:
                self._failures, self.failing_since_s, self.is_proven = 0, None, True
            self._refused_with.pop(target.incident.id, None)
            _log.info("notice_delivered", receiver=self.name, incident=notice.incident, revision=notice.delivered)
            return None
        self._failures += 1
        self.is_proven = False
        self._failure = f"{'refused: ' if isinstance(outcome, Refused) else ''}{outcome.why}"
        self.failing_since_s = self.failing_since_s or now_s
        match outcome:
            case NotSent(_, asked_s):
                retry_s = asked_s or backoff_s(self._failures, random.random())  # noqa: S311 - spreads tries
                self._paused_s = now_s + retry_s  # of the whole receiver: it would refuse the next one, too
            case InDoubt(_, asked_s, own_s):
                retry_s = asked_s or own_s or backoff_s(notice.tries, random.random())  # noqa: S311 - spreads tries
                self._paused_s = now_s + (asked_s or 0.0)
            case Refused():
                retry_s = REFUSED_S
                self._refused_with[target.incident.id] = self._receiver.secrets()
        target.due_s = now_s + retry_s
        _log.warning(
            "notice_failed",
            receiver=self.name,
            incident=notice.incident,
            outcome=type(outcome).__name__,
            why=outcome.why,
            retry_in_s=round(retry_s, 1),
        )
        return retry_s

    async def _done(self, target: Target, notice: Notice) -> None:
        """The receiver knows what it should; of a digest that counts for its entries."""
        self._targets.pop(target.incident.id, None)
        for each, known in self._unmarked(target, notice):
            is_newest = target.desired.is_over or known.delivered == each.revision
            state = each.state if is_newest else "open"
            await self._ledger.store(replace(known, delivered_state=state, via="digest", digest=target.incident.id))
        self._in_digest.difference_update(each.id for each in target.entries)

    def _unmarked(self, target: Target, notice: Notice) -> list[tuple[Incident, Notice]]:
        """Entries of a delivered digest that are not yet known to be delivered, with what is to be noted of them."""
        revisions = digest.revisions(notice) if notice.delivered else {}
        found = []
        for each in target.entries:
            known = self._ledger.notice(self.name, each.id)
            revision = each.revision if notice.delivered_state == "resolved" else revisions.get(each.id, 0)
            if known.delivered < revision:
                found.append((each, replace(known, delivered=revision)))
        return found

    def _facts(self, notice: Notice, target: Target, *, may_repeat: bool) -> Facts:
        return Facts(
            incident=target.incident,
            known_state=notice.delivered_state,
            known_revision=notice.delivered,
            may_repeat=may_repeat,
            links=self._links,
            entries=target.entries,
            is_reminder=target.desired.repeat > notice.repeated,
        )

    def _with_entries(self, notice: Notice, target: Target) -> Notice:
        if not target.entries or notice.entries:
            return replace(notice, via="own") if notice.via == "digest" and notice.sending else notice
        return replace(notice, entries=digest.entries_of(target.entries))
