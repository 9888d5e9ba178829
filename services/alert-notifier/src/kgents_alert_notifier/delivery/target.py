"""An incident and who is wanted to know of it → what one receiver should know. Pure."""

import msgspec

from kgents_alert_notifier.delivery.decide import RESOLVED, Desired
from kgents_alert_notifier.message.facts import ACKNOWLEDGED
from kgents_alert_notifier.routing.router import Wanted
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.notice import Notice


class Target(msgspec.Struct):
    """What the receiver should know of one incident."""

    incident: Incident
    desired: Desired
    regroup_s: float = 0.0
    """How long at least between two messages that no state has changed in."""
    entries: list[Incident] = []
    """Of a digest."""
    due_s: float = 0.0
    """When the next step may be taken, by the monotonic clock."""
    since_s: float = 0.0
    """Since when it has waited, by the same clock: from when it might have been sent."""


def target_of(incident: Incident, wanted: Wanted | None, known: Notice) -> Target | None:
    """What a receiver should know now; None: no more than it does.

    Args:
        incident: as it is published.
        wanted: what the routes say; None: none of them names the receiver, or no longer. One that knows of the opening
            is still to know of what calms it, or it would page on though someone takes care.
        known: what the receiver knows. What a digest reported, the digest ends, too. One that was never notified hears
            nothing while nothing fires: it may be over, as when a silence ends after what it was for.
    """
    is_over = incident.state == RESOLVED
    if known.via == "digest" and is_over:
        return None
    in_doubt = known.unconfirmed or known.sending
    is_calm = incident.calm_at is not None and not is_over
    if is_calm and not (known.delivered or in_doubt):
        return None
    if wanted is not None:
        return Target(incident, Desired(incident.revision, incident.state, wanted.repeat), regroup_s=wanted.regroup_s)
    is_calmer = is_over or (incident.state == ACKNOWLEDGED and (known.delivered_state != ACKNOWLEDGED or in_doubt))
    if is_calmer and (known.delivered or in_doubt):
        return Target(incident, Desired(incident.revision, incident.state))
    return None
