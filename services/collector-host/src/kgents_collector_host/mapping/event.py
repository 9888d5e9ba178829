"""What happened to the machine between two samples → events."""

from collections.abc import Iterator

from kgents_collector_host.mapping.scope import Scope
from kgents_collector_host.sample import Sample
from kgents_shared.contract.event import Event
from kgents_shared.contract.vocabulary.reasons import OOM, RESTARTED, ReasonName


def events(before: Sample | None, now: Sample, scope: Scope) -> Iterator[Event]:
    """The kernel killed for memory; the machine was started again, also while no one observed it."""
    published = scope.published.get(scope.host_ref)
    boot_id = now.machine.boot_id
    if published is not None and published.uid and published.uid != boot_id:
        yield _event(RESTARTED, "info", f"{scope.host_ref} has started again.", f"{boot_id}:restarted", now, scope)
    if before is None or before.machine.boot_id != boot_id:
        return
    old, new = before.events.get("oom_kill"), now.events.get("oom_kill")
    if old is not None and new is not None and new > old:
        count = new - old
        number = f"{count} processes" if count > 1 else "a process"
        text = f"The kernel of {scope.host_ref} killed {number} for memory."
        yield _event(OOM, "error", text, f"{boot_id}:oom:{new}", now, scope, count=count)


def _event(
    reason: ReasonName, severity: str, text: str, id_: str, now: Sample, scope: Scope, *, count: int = 1
) -> Event:
    return Event(
        text=text,
        id=id_,
        ref=scope.host_ref,
        source=scope.source,
        type="Normal" if severity == "info" else "Warning",
        reason=reason,
        severity=severity,
        first_at=now.at,
        last_at=now.at,
        count=count,
        uid=now.machine.boot_id,
    )
