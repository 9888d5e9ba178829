"""A decision from Slack or PagerDuty → KGENTS_ACK or KGENTS_SILENCE, in place of what was decided before.

Any instance stores it, whichever holds the lease of the cluster: decisions have no writer of their own.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final

import structlog
from msgspec.structs import replace

from kgents_alert_notifier.inbound.decisions import Decision
from kgents_alert_notifier.message.slack import ACK, SILENCE, SILENCED_S
from kgents_shared.bus.audit import decide
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import last_message
from kgents_shared.bus.session import Session
from kgents_shared.bus.word import last_word
from kgents_shared.contract import subjects
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.codec import ACK as ACKNOWLEDGEMENTS
from kgents_shared.contract.codec import INCIDENT, NOTICE
from kgents_shared.contract.codec import SILENCE as SILENCES
from kgents_shared.contract.decision import Author, acknowledged, no_longer_acknowledged, silenced
from kgents_shared.contract.errors import DecidedError, MalformedMessageError
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.silence import Matcher, Silence
from kgents_shared.contract.streams import NAME_BY_SIGNAL

TRIES: Final = 3
"""Someone else may decide at the same moment."""

_log = structlog.get_logger(__name__)


class Storing:
    """Stores decisions for the clusters that this instance may serve."""

    def __init__(self, clusters: Sequence[str], pagers: Sequence[str]) -> None:
        """`clusters`: empty for all; `pagers`: the names of the receivers at PagerDuty."""
        self._clusters: Sequence[str | None] = clusters or [None]
        self._pagers = pagers

    async def store(self, bus: Bus, decision: Decision, now: datetime, origin: str) -> str:
        """Store it, with its record in the audit trail; returns why not, where there is nothing to store.

        `origin`: the address that it came from.

        Raises:
            BusError: NATS did not store it.
        """
        for attempt in range(TRIES):
            try:
                why = await self._store(bus, decision, now, origin)
            except DecidedError:
                if attempt == TRIES - 1:
                    raise
                continue
            break
        _log.info("decided", does=decision.does, incident=decision.incident, via=decision.via, ignored=why)
        return why

    async def _store(self, bus: Bus, decision: Decision, now: datetime, origin: str) -> str:
        session = await bus.session()
        incident = await self._incident(session, decision.incident)
        if incident is None or incident.state == "resolved":
            return "no open incident"
        if decision.does == SILENCE:
            silence, before, seq = await self._silence(session, decision, incident, now)
            if before is not None and decision.at is not None and before.starts_at >= decision.at:
                return "decided since"  # the same click once more, also if someone has ended that silence
            await decide(bus, silence, replaces_seq=seq, before=before, origin=origin, now=now)
            return ""
        word, seq = await last_word(session, ACKNOWLEDGEMENTS, _subject("ack", incident))
        if word is not None and decision.at is not None and word.at >= decision.at:
            return "decided since"  # a request that comes late, or again
        message = await self._acknowledgement(session, decision, incident, word, now)
        if message is None:
            return "as it is already"
        await decide(bus, message, replaces_seq=seq, before=word, origin=origin, now=now)
        return ""

    async def _acknowledgement(
        self, session: Session, decision: Decision, incident: Incident, word: Acknowledgement | None, now: datetime
    ) -> Acknowledgement | None:
        author, at = Author(decision.by, decision.via), min(decision.at or now, now)
        if decision.does != ACK:
            is_theirs = word is not None and not word.is_removal and word.via == decision.via
            return no_longer_acknowledged(incident, author, at) if is_theirs else None
        as_seen = _at(incident, await self._seen(session, decision, incident))
        is_new = word is None or word.is_removal or word.revision < incident.severity_revision
        return acknowledged(as_seen, author, at, decision.note) if is_new else None

    async def _silence(
        self, session: Session, decision: Decision, incident: Incident, now: datetime
    ) -> tuple[Silence, Silence | None, int]:
        """One for each incident and hour: who clicks twice has silenced it once. And what it replaces."""
        ends = now + timedelta(seconds=SILENCED_S)
        silence = silenced(
            Author(decision.by, decision.via),
            id_=blake2b(f"{decision.via} {incident.id}".encode(), digest_size=4).hexdigest(),
            cluster=incident.cluster,
            matchers=[Matcher(field="incident", value=incident.id)],
            starts_at=now,
            ends_at=ends,
            reason=f"silenced in {decision.via.capitalize()}",
            purpose="silence",
        )
        return silence, *await last_word(session, SILENCES, silence.subject)

    async def _incident(self, session: Session, id_: str) -> Incident | None:
        for cluster in self._clusters:
            fields = {} if cluster is None else {"cluster": cluster}
            filter_ = subjects.pattern("incident", incident=id_, **fields)
            found = await last_message(session, NAME_BY_SIGNAL["incident"], filter_)
            if found is None or found.marker:
                continue
            try:
                incident = INCIDENT.decode(found.payload, subject=found.subject)
            except MalformedMessageError:
                continue
            if not incident.is_removal:
                return incident
        return None

    async def _seen(self, session: Session, decision: Decision, incident: Incident) -> int:
        """The revision that the person saw: at PagerDuty what its notice says that it was sent."""
        if decision.revision is not None:
            return decision.revision
        if decision.is_former and incident.severity_revision > 1:
            return incident.severity_revision - 1
        known = 0
        for pager in self._pagers:
            subject = subjects.build("notice", cluster=incident.cluster, receiver=pager, incident=incident.id)
            found = await last_message(session, NAME_BY_SIGNAL["notice"], subject)
            if found is not None and not found.marker:
                try:
                    known = max(known, NOTICE.decode(found.payload, subject=subject).delivered)
                except MalformedMessageError:
                    continue
        return known or incident.revision


def _at(incident: Incident, revision: int) -> Incident:
    """The incident as of a revision, which is all that an acknowledgement says of it."""
    return replace(incident, revision=min(revision, incident.revision))


def _subject(signal: str, incident: Incident) -> str:
    return subjects.build(signal, cluster=incident.cluster, incident=incident.id)
