"""Programs: the processes of one command in one unit or container → one entity, however many they are."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import is_
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from kgents_collector_host.mapping.scope import Fact, Scope, elapsed, per_second
from kgents_collector_host.place import Place, place_of
from kgents_collector_host.sample import SETTLED_S, Process, Sample
from kgents_shared.contract.entity import Connection, Entity
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import any_entity, otel
from kgents_shared.contract.vocabulary.figures import host as figure
from kgents_shared.contract.vocabulary.figures import resource
from kgents_shared.contract.vocabulary.figures.figure import FigureName

if TYPE_CHECKING:
    from kgents_collector_host.mapping.network import Network

OVERFLOW: Final = "overflow"
"""The name of the entity that stands for what is left out."""
ID_SHOWN: Final = 12
"""Digits of a container's id in names, as engines show them."""

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
"""What a program is called: it chooses its own command, and some write their state behind it."""


class Program(Struct, frozen=True):
    """The processes of one command in one place, and what follows of them."""

    name: str
    """`nginx.service/nginx`, `4f1c…/redis-server`, `bash`."""
    place: Place
    processes: tuple[Process, ...]
    cgroups: frozenset[str]
    pids: frozenset[int]
    started_s: float
    """When the oldest of them started, in seconds since the boot."""
    rss_bytes: int
    open_files_ratio: float | None
    """Of the one that has most of what it may have; None: not known."""


def programs(
    processes: Sequence[Process], before: Sequence[Process], known: Mapping[str, Program]
) -> dict[str, Program]:
    """By name. One of which no process has run since `known`, those of the processes before, is the same object."""
    ran = [(old, new) for old, new in zip(before, processes, strict=False) if old is not new]
    if len(before) == len(processes) and all(_is_same_place(old, new) for old, new in ran):
        return _renewed(known, {new.pid: new for _, new in ran})
    found: defaultdict[tuple[str, Place], list[Process]] = defaultdict(list)
    for each in processes:
        found[_program_of(each.command, each.cgroup)].append(each)
    made: dict[str, Program] = {}
    for (name, place), members in found.items():
        other, old_one = made.get(name), known.get(name)  # other: of another container whose id begins the same
        every = (*(other.processes if other is not None else ()), *members)
        has_slept = (
            old_one is not None and len(old_one.processes) == len(every) and all(map(is_, old_one.processes, every))
        )
        made[name] = old_one if old_one is not None and has_slept else _program(name, place, every)
    return made


def _is_same_place(old: Process, new: Process) -> bool:
    return (old.key, old.command, old.cgroup) == (new.key, new.command, new.cgroup)


def _renewed(known: Mapping[str, Program], ran: Mapping[int, Process]) -> dict[str, Program]:
    """The same programs with what was read again of some of their processes."""
    found = dict(known)
    for name in {_program_of(each.command, each.cgroup)[0] for each in ran.values()}:
        old = found[name]
        found[name] = _program(name, old.place, tuple(ran.get(each.pid, each) for each in old.processes))
    return found


def _program(name: str, place: Place, processes: tuple[Process, ...]) -> Program:
    ratios = [each.files / each.files_max for each in processes if each.files is not None and each.files_max]
    return Program(
        name,
        place,
        processes,
        cgroups=frozenset(each.cgroup for each in processes),
        pids=frozenset(each.pid for each in processes),
        started_s=min(each.started_s for each in processes),
        rss_bytes=sum(each.rss_bytes for each in processes),
        open_files_ratio=max(ratios, default=None),
    )


@lru_cache(maxsize=4096)
def _program_of(command: str, cgroup: str) -> tuple[str, Place]:
    place = place_of(cgroup)
    prefix, called = place.container_id[:ID_SHOWN] or place.unit, command_name(command)
    return f"{prefix}/{called}" if prefix else called, place


@lru_cache(maxsize=4096)
def command_name(command: str) -> str:
    """What a program is called."""
    return found[0] if (found := _NAME.match(command)) else "unnamed"


def facts(
    before: Sample | None,
    now: Sample,
    found: Mapping[str, Program],
    known: Mapping[str, Program],
    network: "Network",
    scope: Scope,
    *,
    limit: int,
) -> Iterator[Fact]:
    """The entities of the most important ones, with their figures; the rest as one. `known`: as of `programs`."""
    settled = [each for each in found.values() if is_settled(each, now)]
    shown = _shown(settled, network, scope, limit)
    old = {each.pid: each for each in (before.processes or ())} if before is not None else {}
    elapsed_s = elapsed(before, now)
    for each in shown:
        has_slept = known.get(each.name) is each
        published = scope.published.get(scope.ref(kinds.PROCESS, each.name))
        if published is not None and has_slept and network.is_as_before(each.name):
            entity = published
        else:
            entity = _entity(each, network, scope)
            if published is not None and published == entity:
                entity = published  # the same object, which needs no comparison with what is stored
        cpu = _cpu_percent(() if has_slept else each.processes, old, elapsed_s)
        rss = each.rss_bytes
        figures: dict[FigureName, float | None] = {figure.PROCESSES: float(len(each.processes))}
        if each.open_files_ratio is not None:
            figures[figure.OPEN_FILES_RATIO] = each.open_files_ratio
        pulse = scope.pulse(
            entity, figures, cpu_percent=cpu, memory_bytes=rss, unread={"cpu_percent": cpu, "memory_bytes": rss}
        )
        yield Fact(entity, pulse)
    if left_out := len(settled) - len(shown):
        entity = Entity(
            ref=scope.ref(kinds.PROCESS, OVERFLOW),
            source=scope.source,
            status="unknown",
            attributes={any_entity.OVERFLOW: True},
        )
        yield Fact(entity, scope.pulse(entity, {resource.ENTITIES_LEFT_OUT: float(left_out)}))


def is_settled(program: Program, now: Sample) -> bool:
    """Whether it has run for long enough to be shown."""
    return now.time_s - program.started_s >= SETTLED_S


def _shown(settled: Sequence[Program], network: "Network", scope: Scope, limit: int) -> list[Program]:
    """What is shown stays until it is gone; then those that listen, then the largest."""
    if len(settled) <= limit:
        return list(settled)

    def rank(each: Program) -> tuple[bool, bool, int, str]:
        is_shown = scope.ref(kinds.PROCESS, each.name) in scope.published
        return not is_shown, not network.listens(each.name), -each.rss_bytes, each.name

    return sorted(settled, key=rank)[:limit]


def _entity(program: Program, network: "Network", scope: Scope) -> Entity:
    place = program.place
    joined: list[Connection] = [scope.runs_on("/proc")]
    if place.unit:
        unit = scope.ref(kinds.UNIT, place.unit)
        joined.append(Connection(kind=edges.OWNS, peer=unit, direction="in", evidence="/proc/<pid>/cgroup"))
    if place.container_id:
        peer = f"container-id:{place.container_id}"
        joined.append(Connection(kind=edges.RUNS_ON, peer=peer, evidence="/proc/<pid>/cgroup"))
    elif place.pod_uid:
        joined.append(Connection(kind=edges.RUNS_ON, peer=f"pod-uid:{place.pod_uid}", evidence="/proc/<pid>/cgroup"))
    return Entity(
        ref=scope.ref(kinds.PROCESS, program.name),
        source=scope.source,
        status="running",
        attributes={otel.PROCESS_EXECUTABLE_NAME: program.name.rpartition("/")[2]},
        addresses=network.addresses(program.name),
        aliases=network.ends(program.name),
        connections=[*joined, *network.edges(program.name)],
    )


def _cpu_percent(processes: Iterable[Process], old: Mapping[int, Process], elapsed_s: float) -> float | None:
    """Of those that live; of one that started since the sample before, all that it used."""
    if not old or elapsed_s <= 0:
        return None
    used_s = 0.0
    for each in processes:
        known = old.get(each.pid)
        if known is each:  # it has not run
            continue
        is_same = known is not None and known.start_ticks == each.start_ticks
        used_s += per_second(known.cpu_s if known is not None and is_same else 0.0, each.cpu_s, 1.0) or 0.0
    return 100.0 * used_s / elapsed_s
