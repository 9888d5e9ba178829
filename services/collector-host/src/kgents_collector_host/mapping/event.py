"""What happened to the machine between two samples → events."""

from collections.abc import Iterator, Sequence
from typing import Final

from kgents_collector_host.mapping.program import ID_SHOWN, command_name
from kgents_collector_host.mapping.scope import Scope
from kgents_collector_host.place import place_of
from kgents_collector_host.sample import Sample, Victim
from kgents_shared.contract.event import Event
from kgents_shared.contract.vocabulary.reasons import OOM, RESTARTED, ReasonName

NAMED_MAX: Final = 3


def events(before: Sample | None, now: Sample, scope: Scope) -> Iterator[Event]:
    """The kernel killed for memory; the machine was started again, also while no one observed it."""
    published = scope.published.get(scope.host_ref)
    boot_id = now.machine.boot_id
    if published is not None and published.uid and published.uid != boot_id:
        yield _event(RESTARTED, "info", f"{scope.host_ref} has started again.", f"{boot_id}:restarted", now, scope)
    if before is None or before.machine.boot_id != boot_id:
        return
    old, new = before.oom_kills, now.oom_kills
    if old is not None and new is not None and new > old:
        count = new - old
        text = f"The kernel of {scope.host_ref} killed {_named(now.victims, count)} for memory."
        yield _event(OOM, "error", text, f"{boot_id}:oom:{new}", now, scope, count=count)


def _named(victims: Sequence[Victim], count: int) -> str:
    """`python of shop.service, redis-server of container 4f1c2a… and 3 more`, as far as they are known by name."""
    shown = [_victim(each) for each in victims[:NAMED_MAX]]
    more = count - len(shown)
    if not shown:
        return f"{count} processes" if count > 1 else "a process"
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _victim(victim: Victim) -> str:
    place = place_of(victim.cgroup)
    command = command_name(victim.command)
    if place.container_id:
        return f"{command} of container {place.container_id[:ID_SHOWN]}"
    return f"{command} of {place.unit}" if place.unit else command


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
