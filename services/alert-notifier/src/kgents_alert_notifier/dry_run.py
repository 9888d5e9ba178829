"""Topology and alerts by their time, and a configuration → the notifications that it would have sent, without I/O.

It runs the grouping, routing and delivery of the service, with receivers that take everything at once, and with no
one who acknowledges or silences anything.
"""

from collections.abc import Iterable, Iterator, Set
from datetime import datetime
from heapq import heappop, heappush

import msgspec
from msgspec.structs import replace

from kgents_alert_notifier.config import Config
from kgents_alert_notifier.delivery import digest
from kgents_alert_notifier.delivery.decide import Desired, is_news, settled
from kgents_alert_notifier.delivery.outcome import Delivered
from kgents_alert_notifier.delivery.target import Target, target_of
from kgents_alert_notifier.grouping.reducer import Incidents
from kgents_alert_notifier.grouping.silencing import Silencing
from kgents_alert_notifier.message import pagerduty
from kgents_alert_notifier.message.facts import Facts
from kgents_alert_notifier.receiver_config import ReceiverConfig
from kgents_alert_notifier.routing.router import Router, Wanted
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.topology import TopologyEntity

Message = TopologyEntity | Alert
Changed = tuple[str, Message]
"""A subject and its message; a removal says that it is gone."""


class Notification(msgspec.Struct, frozen=True):
    """One message to one receiver."""

    at: datetime
    receiver: str
    status: str
    """`critical`, `warning`, `acknowledged`, `resolved`."""
    why: str
    """`opening`, `escalation`, `reminder`, `digest`, `change`, `growth`, `end`."""
    cause: str
    """The probable cause and its check; of a digest the worst of them."""
    text: str
    incident: str
    incidents: int = 1
    """More than one: a digest."""


class DryRun:
    """One cluster and one configuration."""

    def __init__(self, cluster: str, config: Config) -> None:
        self._config = config
        self._cluster = cluster
        self._router = Router(config.all_routes(), config.windows)
        silencing = Silencing(config.maintenance, config.windows)
        self._reducer = Incidents(cluster, config.grouping, self._router, silencing)
        known = config.all_receivers() if config.enabled else {}
        self._receivers = {name: each for name, each in known.items() if not each.is_deadman}
        self._rows: dict[str, Incident] = {}
        self._fired: set[tuple[str, datetime | None]] = set()
        self._live: set[str] = set()
        self._notices: dict[tuple[str, str], Notice] = {}
        self._waiting: dict[str, dict[str, Target]] = {name: {} for name in self._receivers}
        self._digests: dict[tuple[str, str], list[str]] = {}  # (receiver, digest) → its incidents
        self._began: datetime | None = None
        self._due: list[tuple[float, str]] = []  # when an escalation or a reminder is due
        self._minute = 0.0
        self._free_s = dict.fromkeys(self._receivers, 0.0)

    @property
    def incidents(self) -> int:
        """How many were opened."""
        return len(self._rows)

    @property
    def alerts(self) -> int:
        """How many fired."""
        return len(self._fired)

    def take(self, now: datetime, changed: Iterable[Changed]) -> list[Notification]:
        """What is sent at this moment; the first call takes what there was at the beginning."""
        for subject, message in changed:
            self._apply(subject, message)
        if self._began is None:
            self._began = now
            self._reducer.begin(now)
        self._reducer.tick(now)
        news = {*self._published(), *self._due_now(now)}
        for incident in sorted(news):
            self._evaluate(incident, now)
        self._want_ends_of_digests(news)
        return [each for name in self._receivers for each in self._deliver(name, now)]

    def _due_now(self, now: datetime) -> Iterator[str]:
        """What time alone may change: escalations, reminders, and windows, which begin with a minute."""
        while self._due and self._due[0][0] <= now.timestamp():
            incident = heappop(self._due)[1]
            if incident in self._live:
                yield incident
        if self._config.windows and now.timestamp() // 60 != self._minute:
            self._minute = now.timestamp() // 60
            yield from self._live

    def _apply(self, subject: str, message: Message) -> None:
        if isinstance(message, TopologyEntity):
            self._reducer.on_topology(None if message.is_removal else message, subject)
        else:
            if message.state == "firing" and not message.is_removal:
                self._fired.add((subject, message.started_at))
            self._reducer.on_alert(None if message.is_removal else message, subject, "")

    def _published(self) -> Iterator[str]:
        while self._reducer.is_dirty:
            for each in self._reducer.take():
                if not each.is_removal:
                    self._rows[each.id] = each
                    yield each.id

    # What each receiver should know

    def _evaluate(self, incident: str, now: datetime) -> None:
        message = self._rows[incident]
        wanted = self._router.wanted(message, now)
        for name, waiting in self._waiting.items():
            known = self._notice(name, incident)
            target = target_of(message, wanted.get(name), known)
            if target is not None and is_news(known, target.desired):
                target.due_s = _due_s(known, self._facts(target, known), target)
                waiting[incident] = target
            else:
                waiting.pop(incident, None)
        if message.state == "resolved":
            self._live.discard(incident)
            return
        self._live.add(incident)
        if (next_s := self._router.next_change_s(message, now)) is not None:
            heappush(self._due, (now.timestamp() + next_s, incident))

    def _want_ends_of_digests(self, news: Set[str]) -> None:
        for (name, id_), incidents in self._digests.items():
            if news.isdisjoint(incidents):
                continue
            entries = [self._rows[each] for each in incidents]
            message = digest.as_incident(id_, entries)
            desired = Desired(message.revision, message.state)
            if is_news(self._notice(name, id_), desired):
                self._waiting[name][id_] = Target(message, desired, entries=entries)

    # What is sent

    def _deliver(self, name: str, now: datetime) -> Iterator[Notification]:
        """As the service does: what is too many as a digest, then the worst first, with a pause after each message."""
        waiting, receiver = self._waiting[name], self._receivers[name]
        if now.timestamp() < self._free_s[name] or not waiting:
            return
        ready = [each for each in waiting.values() if each.due_s <= now.timestamp()]
        order = digest.worst_first([each.incident for each in ready])
        if receiver.alertmanager is None:  # that groups by itself
            openings = [each.incident for each in ready if self._is_opening(name, each)]
            flood = self._config.flood
            _, rest = digest.split(openings, at_most=flood.waiting, worst=flood.worst)
            if rest:
                many = self._in_digest(name, rest)
                waiting[many.incident.id] = many
                order.insert(0, many.incident)
        for each in order:
            if each.id in waiting:
                yield from self._send(name, waiting.pop(each.id), now)
                if receiver.pause_s:
                    self._free_s[name] = now.timestamp() + receiver.pause_s
                    return

    def _is_opening(self, name: str, target: Target) -> bool:
        return not self._notice(name, target.incident.id).delivered and not target.entries

    def _in_digest(self, name: str, incidents: list[Incident]) -> Target:
        id_ = digest.digest_id(name, digest.entries_of(incidents))
        self._digests[name, id_] = [each.id for each in incidents]
        for each in incidents:
            self._waiting[name].pop(each.id)
            known = settled(self._notice(name, each.id), Desired(each.revision, each.state), Delivered())
            self._notices[name, each.id] = replace(known, via="digest", digest=id_)
        message = digest.as_incident(id_, incidents)
        return Target(message, Desired(message.revision, message.state), entries=incidents)

    def _send(self, name: str, target: Target, now: datetime) -> Iterator[Notification]:
        incident, id_ = target.incident, target.incident.id
        known = self._notice(name, id_)
        facts = self._facts(target, known)
        via = "own" if known.via == "digest" else known.via
        self._notices[name, id_] = replace(
            settled(known, target.desired, Delivered()), delivered_at=now, opened_at=known.opened_at or now, via=via
        )
        if _is_sent(self._receivers[name], facts):
            wanted = self._router.wanted(incident, now).get(name)
            yield Notification(
                at=now,
                receiver=name,
                status=facts.status,
                why=_why(facts, wanted),
                cause=f"{incident.root.ref} {incident.root.check}",
                text=facts.headline,
                incident=id_,
                incidents=max(1, len(target.entries)),
            )

    def _notice(self, receiver: str, incident: str) -> Notice:
        found = self._notices.get((receiver, incident))
        return found or Notice(text="", cluster=self._cluster, receiver=receiver, incident=incident)

    def _facts(self, target: Target, known: Notice) -> Facts:
        return Facts(
            incident=target.incident,
            known_state=known.delivered_state,
            known_revision=known.delivered,
            entries=target.entries,
            is_reminder=target.desired.repeat > known.repeated,
        )


def _due_s(known: Notice, facts: Facts, target: Target) -> float:
    """When growth alone may be sent, in Unix seconds; all else at once."""
    if facts.changes_state or known.delivered_at is None:
        return 0.0
    return known.delivered_at.timestamp() + target.regroup_s


def _is_sent(receiver: ReceiverConfig, facts: Facts) -> bool:
    """Whether a receiver of this kind is sent a message for it."""
    if receiver.pagerduty is not None:
        return bool(pagerduty.actions(facts))
    return facts.changes_state or receiver.shows_growth


def _why(facts: Facts, wanted: Wanted | None) -> str:
    if facts.is_over:
        return "end"
    if facts.entries:
        return "digest"
    if facts.is_reminder:
        return "reminder"
    if facts.is_opening:
        return "escalation" if wanted is not None and wanted.is_escalation else "opening"
    return "change" if facts.changes_state else "growth"
