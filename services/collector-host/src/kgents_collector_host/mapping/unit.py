"""Units: what systemd says of its services, and what their control groups use; without systemd, the groups alone."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from kgents_collector_host.mapping.history import OFTEN, RESTARTING, History
from kgents_collector_host.mapping.program import OVERFLOW, Program, is_settled
from kgents_collector_host.mapping.scope import Fact, Scope, elapsed, per_second
from kgents_collector_host.sample import Sample, Unit
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import any_entity
from kgents_shared.contract.vocabulary.attributes import host as attribute
from kgents_shared.contract.vocabulary.figures import host as figure
from kgents_shared.contract.vocabulary.figures import resource

MOST: Final = 200

_STATUS: Final = {
    "active": "running", "reloading": "running", "activating": "pending", "deactivating": "terminating",
    "failed": "failed",
}  # fmt: skip
_WITH_STATUS: Final = ("exit-code", "signal", "core-dump")


def facts(
    before: Sample | None, now: Sample, programs: Mapping[str, Program], history: History, scope: Scope
) -> Iterator[Fact]:
    """Each unit that runs something or has failed; of too many those that have failed first."""
    if now.units_fault:
        return
    units = now.units if now.units is not None else tuple(_of_groups(now, programs))
    ranked = sorted(units, key=lambda each: (each.state != "failed", each.name))
    for each in ranked[:MOST]:
        yield _fact(each, history, before, now, scope)
    if left_out := len(units) - MOST if len(units) > MOST else 0:
        entity = Entity(
            ref=scope.ref(kinds.UNIT, OVERFLOW),
            source=scope.source,
            status="unknown",
            attributes={any_entity.OVERFLOW: True},
        )
        yield Fact(entity, scope.pulse(entity, {resource.ENTITIES_LEFT_OUT: float(left_out)}))


def _fact(unit: Unit, history: History, before: Sample | None, now: Sample, scope: Scope) -> Fact:
    restarts = history.restarts(unit.name)
    status, reason = _state(unit, restarts)
    restarted_at = history.restarted_at(unit.name)
    entity = Entity(
        ref=scope.ref(kinds.UNIT, unit.name),
        source=scope.source,
        status=status,
        reason=reason,
        attributes={attribute.UNIT_RESTARTED_AT: restarted_at.isoformat()} if restarted_at is not None else {},
        connections=[scope.runs_on("systemd" if now.units is not None else "/proc/<pid>/cgroup")],
    )
    figures = {figure.UNIT_RESTARTS_RECENT: float(restarts)} if now.units is not None else {}
    used = now.groups.get(unit.cgroup)
    if used is None:  # it runs nothing
        return Fact(entity, scope.pulse(entity, figures) if figures else None)
    old = before.groups.get(unit.cgroup) if before is not None else None
    elapsed_s = elapsed(before, now)
    cpu = per_second(old.cpu_s if old is not None else None, used.cpu_s, elapsed_s)
    cpu_percent = 100.0 * cpu if cpu is not None else None
    pulse = scope.pulse(
        entity,
        figures,
        cpu_percent=cpu_percent,
        memory_bytes=used.memory_bytes,
        memory_limit_bytes=used.memory_limit_bytes,
        unread={"cpu_percent": cpu_percent, "memory_bytes": used.memory_bytes},
    )
    return Fact(entity, pulse)


def _state(unit: Unit, restarts: int) -> tuple[str, str]:
    """Status and reason. One that is restarted again and again has one of both, whatever a poll happens to see."""
    if unit.state != "failed" and restarts >= OFTEN:
        return "pending", RESTARTING
    if unit.state == "failed":
        code = f" {unit.exit_status}" if unit.result in _WITH_STATUS else ""
        return "failed", f"{unit.result}{code}"
    if (unit.state, unit.sub_state) == ("active", "exited"):
        return "succeeded", ""
    return _STATUS.get(unit.state, "unknown"), ""


def _of_groups(now: Sample, programs: Mapping[str, Program]) -> Iterator[Unit]:
    """Units by the control groups of their processes."""
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for program in programs.values():
        if program.place.unit and is_settled(program, now):
            groups[program.place.unit] |= program.cgroups
    for name, paths in groups.items():
        path = min(paths, key=lambda each: (not each.endswith(f"/{name}"), len(each), each))
        yield Unit(name, "active", "running", cgroup=path)
