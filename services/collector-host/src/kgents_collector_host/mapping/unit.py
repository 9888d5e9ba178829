"""Units: the control group of a service → what all its processes use, the short-lived ones too."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from kgents_collector_host.mapping.program import Program, is_settled
from kgents_collector_host.mapping.scope import Fact, Scope, per_second
from kgents_collector_host.sample import Sample
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.vocabulary import kinds


def facts(before: Sample | None, now: Sample, programs: Mapping[str, Program], scope: Scope) -> Iterator[Fact]:
    """Each unit that runs something."""
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for program in programs.values():
        if program.place.unit and is_settled(program, now):
            groups[program.place.unit] |= program.cgroups
    for name, paths in sorted(groups.items()):
        path = min(paths, key=lambda each: (not each.endswith(f"/{name}"), len(each)))
        entity = Entity(
            ref=scope.ref(kinds.UNIT, name),
            source=scope.source,
            status="running",
            connections=[scope.runs_on("/proc/<pid>/cgroup")],
        )
        used, old = now.groups.get(path), before.groups.get(path) if before is not None else None
        elapsed_s = now.time_s - before.time_s if before is not None else 0.0
        cpu = per_second(old.cpu_s if old is not None else None, used.cpu_s if used is not None else None, elapsed_s)
        cpu_percent = 100.0 * cpu if cpu is not None else None
        memory = used.memory_bytes if used is not None else None
        pulse = scope.pulse(
            entity,
            {},
            cpu_percent=cpu_percent,
            memory_bytes=memory,
            memory_limit_bytes=used.memory_limit_bytes if used is not None else None,
            unread={"cpu_percent": cpu_percent, "memory_bytes": memory},
        )
        yield Fact(entity, pulse)
