"""What is stored of an entity, and what its sources do not attest → what a reader takes it for. Pure.

A source that is silent is one message (`contract.topology`); the messages of its entities stay as they are. So a reader
applies it: the topology names the sources that are `stale`, and the health is `unknown` unless it is critical. So it is
while topology-builder, which writes down what is stale, or health-scorer is silent itself.
"""

from datetime import UTC

from msgspec import structs

from kgents_shared.contract.attestation import BUILDER, SCORER, Attestation
from kgents_shared.contract.entity import Ref
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
    text = f"{entity.ref} is stale: {_absence(entity.ref, entity, attestation)}; last known {condition}"
    return structs.replace(entity, stale=sorted({*entity.stale, *stale}), text=text)


def stale_health(health: Health, entity: TopologyEntity | None, attestation: Attestation) -> Health:
    """The health of an entity that is not attested; the same object if it is."""
    absence = _absence(health.ref, entity, attestation) or _absence_of(SCORER, health.ref, attestation)
    if not absence:
        return health
    why = f"{health.ref} is stale: {absence}"
    reasons = [*health.reasons, Reason(check=STALE, text=f"{why}.", severity=STALE_SEVERITY)]
    reasons.sort(key=lambda each: (-each.severity, each.check))
    level, score = unattested(health.level, health.score)
    if health.level == "unknown":  # why it is not observed says more than that its status is not known
        return structs.replace(health, reasons=reasons, text=f"Unknown: {why}.")
    if level == health.level:
        return structs.replace(
            health, reasons=reasons, text=f"{health.text.removesuffix('.')}, as last known: {absence}."
        )
    scope = _scope(health.ref, entity, attestation)
    since = scope.since if scope is not None and scope.since is not None else health.since
    text = f"Unknown: {why}; last known: {health.text}"
    aggregate = structs.replace(health.aggregate, status=level) if health.aggregate is not None else None
    return structs.replace(
        health, level=level, score=score, reasons=reasons, text=text, since=since, aggregate=aggregate
    )


def _scope(ref: Ref, entity: TopologyEntity | None, attestation: Attestation) -> Unread | None:
    """The first scope because of which an entity, or its health, is not attested."""
    sources = [attestation.scope(entity, source) for source in entity.sources] if entity is not None else []
    found = (attestation.silence(ref, BUILDER), *sources, attestation.silence(ref, SCORER))
    return next((each for each in found if each is not None), None)


def _absence(ref: Ref, entity: TopologyEntity | None, attestation: Attestation) -> str:
    """Whose report is missing on the topology of an entity; empty if none is."""
    if absence := _absence_of(BUILDER, ref, attestation):
        return absence
    if entity is None or not (stale := attestation.stale(entity)):
        return ""
    scopes = [scope for source in stale if (scope := attestation.scope(entity, source)) is not None]
    return f"no report from {', '.join(stale)}{_since(scopes[0])}"


def _absence_of(service: str, ref: Ref, attestation: Attestation) -> str:
    scope = attestation.silence(ref, service)
    return f"no report from {service}{_since(scope)}" if scope is not None else ""


def _since(scope: Unread) -> str:
    since = f" since {scope.since.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z" if scope.since is not None else ""
    return f"{since} ({scope.reason})" if scope.reason else since
