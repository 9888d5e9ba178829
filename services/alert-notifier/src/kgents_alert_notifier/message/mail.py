"""Facts → an e-mail. Pure.

Its Message-ID is the same for every try of one revision, and it refers to that of the opening, so mail programs show
one thread. A line break in a header would be refused, so headers are made of cleaned text.
"""

import hashlib
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from kgents_alert_notifier.message.facts import Facts, cut
from kgents_alert_notifier.message.text import text

SUBJECT_MAX = 200


def mail(facts: Facts, *, sender: str, to: str) -> EmailMessage:
    """The whole message."""
    incident = facts.incident
    domain = sender.rpartition("@")[2]
    found = EmailMessage(policy=SMTP)
    found["From"] = Address(addr_spec=sender)
    found["To"] = Address(addr_spec=to)
    found["Subject"] = cut(facts.headline, SUBJECT_MAX)
    found["Date"] = format_datetime(incident.changed_at)
    opening = message_id(incident.id, 0, to, domain)
    found["Message-ID"] = message_id(incident.id, incident.revision, to, domain)
    found["In-Reply-To"] = found["References"] = opening
    found["Auto-Submitted"] = "auto-generated"
    found.set_content(text(facts) + "\n", cte="quoted-printable")
    return found


def message_id(incident: str, revision: int, to: str, domain: str) -> str:
    """Revision 0 is none's: all mails of an incident refer to it, whichever of them came first."""
    address = hashlib.blake2b(to.encode(), digest_size=6).hexdigest()
    return f"<{incident}.{revision}.{address}@{domain}>"
