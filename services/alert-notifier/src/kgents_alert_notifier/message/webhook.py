"""Facts → the JSON of a generic webhook, as it is or as a structured CloudEvent. Pure."""

from datetime import datetime
from typing import Any, Final

import msgspec

from kgents_alert_notifier.message.facts import Facts
from kgents_alert_notifier.message.text import text
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.masking import masked_message

TYPE: Final = "io.kgents.incident.v1"


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook gets. Its members only grow."""

    text: str
    """The whole message for people."""
    status: str
    """`critical`, `warning`, `acknowledged`, `resolved`."""
    is_test: bool = False
    may_repeat: bool = False
    """Whether the receiver may have it already; its id is then the same."""
    link: str = ""
    """The web view at the moment of the change."""
    runbook: str = ""
    """What to do about the probable cause."""
    incident: Incident
    """As on `kgents.incident.>`."""
    entries: list[Incident] = []
    """Of a digest: its incidents."""


def body(facts: Facts) -> bytes:
    """The bytes that are signed and sent: nothing in the form of a credential leaves the house."""
    found = Body(
        text=text(facts),
        status=facts.status,
        is_test=facts.is_test,
        may_repeat=facts.may_repeat,
        link=facts.link,
        runbook=facts.runbook,
        incident=facts.incident,
        entries=list(facts.entries),
    )
    return masked_message(msgspec.json.encode(found))


def cloud_event(facts: Facts, *, message_id: str, now: datetime) -> bytes:
    """The same as a CloudEvent, version 1.0, in structured mode."""
    found: dict[str, Any] = {
        "specversion": "1.0",
        "id": message_id,
        "source": f"/kgents/{facts.incident.cluster}",
        "type": TYPE,
        "subject": facts.incident.id,
        "time": now,
        "datacontenttype": "application/json",
        "data": msgspec.Raw(body(facts)),
    }
    return msgspec.json.encode(found)
