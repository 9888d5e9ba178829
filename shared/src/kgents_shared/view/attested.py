"""What is stored of an entity, and what its sources do not attest → what a reader takes it for. Pure.

A source that is silent is one message (`contract.topology`); the messages of its entities stay as they are. So a reader
applies it: the topology names the sources that are `stale`, and the health is `unknown` unless it is critical.
"""

from collections.abc import Sequence
from datetime import UTC

from msgspec import structs

from kgents_shared.contract.attestation import Attestation
from kgents_shared.contract.health import STALE, Health, Reason, unattested
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread

STALE_SEVERITY = 0.2
"""As bad as a warning: not knowing is not a failure, and it is never health."""


def stale_topology(entity: TopologyEntity, attestation: Attestation) -> TopologyEntity:
    """The entity with the sources that do not attest it; the same object if all of them do."""
    stale = attestation.stale(entity)
    if not stale:
        return entity
    condition = f"{entity.status} ({entity.reason})" if entity.reason else entity.status
    text = f"{_why(entity, stale, attestation)}; last known {condition}"
    return structs.replace(entity, stale=sorted({*entity.stale, *stale}), text=text)


def stale_health(health: Health, entity: TopologyEntity, attestation: Attestation) -> Health:
    """The health of an entity that one of its sources does not attest."""
    stale = attestation.stale(entity)
    why = _why(entity, stale, attestation)
    reasons = [*health.reasons, Reason(check=STALE, text=f"{why}.", severity=STALE_SEVERITY)]
    reasons.sort(key=lambda each: (-each.severity, each.check))
    level, score = unattested(health.level, health.score)
    if health.level == "unknown":  # why it is not observed says more than that its status is not known
        return structs.replace(health, reasons=reasons, text=f"Unknown: {why}.")
    if level == health.level:
        return structs.replace(health, reasons=reasons)
    scope = attestation.scope(entity, stale[0])
    since = scope.since if scope is not None and scope.since is not None else health.since
    text = f"Unknown: {why}; last known: {health.text}"
    return structs.replace(health, level=level, score=score, reasons=reasons, text=text, since=since)


def _why(entity: TopologyEntity, stale: Sequence[str], attestation: Attestation) -> str:
    scopes = [scope for source in stale if (scope := attestation.scope(entity, source)) is not None]
    return f"{entity.ref} is stale: no report from {', '.join(stale)}{_since(scopes[0])}" if scopes else ""


def _since(scope: Unread) -> str:
    since = f" since {scope.since.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z" if scope.since is not None else ""
    return f"{since} ({scope.reason})" if scope.reason else since
