"""That someone takes care of an incident, or no longer does."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from kgents_gateway.decisions.decision import Decision, Desk, Nothing, Outcome
from kgents_gateway.http.routes import ACKNOWLEDGEMENT
from kgents_gateway.problems import ConflictError
from kgents_gateway.questions.arguments import Arguments, BadArgumentError
from kgents_gateway.questions.incidents import OneIncident, unknown_incident
from kgents_shared.bus.word import last_word
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.codec import ACK
from kgents_shared.contract.decision import acknowledged, no_longer_acknowledged
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.masking import masked

Revision = Annotated[int, Meta(ge=1, le=2**53)]
Note = Annotated[str, Meta(max_length=1_000, description="What you do; everyone sees it.")]


class AcknowledgementBody(Arguments, frozen=True, kw_only=True):
    """What is said with it."""

    note: Note = ""
    revision: Annotated[
        Revision | None, Meta(description="Of the incident, as you saw it; null: as it is. If it became worse, a 409.")
    ] = None


class StoredAcknowledgement(msgspec.Struct, frozen=True):
    """The acknowledgement as it is stored. The incident follows in a moment, if an alert-notifier runs."""

    acknowledgement: Acknowledgement
    is_new: bool
    """Whether it was stored now; false: it was so already."""


async def acknowledge(desk: Desk, arguments: OneIncident, body: AcknowledgementBody) -> Outcome:
    """Take care of an incident: it is neither repeated nor escalated, unless it becomes more severe."""
    incident = _open(desk, arguments.incident_id)
    seen = body.revision if body.revision is not None else incident.revision
    if seen > incident.revision:
        raise BadArgumentError(f"revision: expected at most {incident.revision}, found {seen}")
    if seen < incident.severity_revision:
        raise ConflictError(f"incident {incident.id} has become more severe since revision {seen}; read it again")
    now, note = desk.world.now(), masked(body.note)
    session = await desk.bus.session()
    message = acknowledged(msgspec.structs.replace(incident, revision=seen), desk.author, now, note)
    before, seq = await last_word(session, ACK, message.subject)
    if before is not None and not before.is_removal and before.revision >= incident.severity_revision:
        is_same = (before.by, before.note) == (message.by, message.note)
        if is_same:
            return Outcome(before, is_new=False, before=before)
    return await desk.store(message, before=before, replaces_seq=seq)


async def take_back(desk: Desk, arguments: OneIncident, _: Nothing) -> Outcome:
    """No longer take care of an incident."""
    incident = _open(desk, arguments.incident_id)
    now, session = desk.world.now(), await desk.bus.session()
    message = no_longer_acknowledged(incident, desk.author, now)
    before, seq = await last_word(session, ACK, message.subject)
    if before is None:
        raise NotFoundError(f"expected an incident that is acknowledged, found {incident.id}, which never was")
    if before.is_removal:
        return Outcome(before, is_new=False, before=before)
    return await desk.store(message, before=before, replaces_seq=seq)


def _open(desk: Desk, id_: str) -> Incident:
    if (found := desk.world.incidents.with_id(id_)) is None:
        raise unknown_incident(id_)
    if found.state == "resolved":
        raise ConflictError(f"expected an incident that goes on, found {found.id}, which is resolved")
    return found


DECISIONS: Final = (
    Decision(
        "acknowledge",
        "Take care of an incident",
        "PUT",
        ACKNOWLEDGEMENT,
        OneIncident,
        AcknowledgementBody,
        StoredAcknowledgement,
        acknowledge,
    ),
    Decision(
        "unacknowledge",
        "No longer take care of an incident",
        "DELETE",
        ACKNOWLEDGEMENT,
        OneIncident,
        Nothing,
        StoredAcknowledgement,
        take_back,
    ),
)
