"""Times of entities, incidents, changes and alerts → what is reported of each group. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from kgents_cli.availability.objectives import Budget
from kgents_cli.availability.spans import US_PER_S, Span, Times, Window, times, union
from kgents_cli.changes import MADE, sort_of
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import edges
from kgents_shared.view.find import path_of

BY: Final = ("entity", "kind", "namespace", "cluster")
_NONE: Final = "(none)"


class Group(msgspec.Struct, frozen=True):
    """Some entities together."""

    name: str
    entities: int
    times: Times
    """Summed over the entities."""
    worst: float | None
    """The availability of the worst entity; None: none was observed."""
    any_critical: int
    """Microseconds in which at least one of them was critical."""
    incidents: int
    mttr_s: float | None
    """The mean duration of those incidents that have ended; None: none has."""

    def record(self) -> dict[str, Any]:
        """As it is printed: seconds, and null for what is not known."""
        spent = {f"{name}_s": getattr(self.times, name) / US_PER_S for name in self.times.__struct_fields__}
        return {
            "name": self.name, "entities": self.entities, "available_ratio": self.times.available,
            "worst_entity_ratio": self.worst, "any_critical_s": self.any_critical / US_PER_S, **spent,
            "observed_ratio": self.observed, "incidents": self.incidents, "mttr_s": self.mttr_s,
        }  # fmt: skip

    @property
    def observed(self) -> float | None:
        """The share of the time of existing entities that is known and was not planned; None: there was none."""
        return self.times.observed / self.times.existed if self.times.existed else None


class Counted(msgspec.Struct, frozen=True):
    """How often something came up."""

    name: str
    count: int
    is_at_least: bool = False
    """Whether older ones are forgotten."""


class Report(msgspec.Struct, frozen=True):
    """Everything about one window."""

    window: Window
    by: str
    groups: list[Group]
    budgets: list[Budget]
    changes: list[Counted]
    """Workloads by how often they were changed."""
    noisiest: list[Counted]
    """Checks and entities by how often an alert began to fire."""
    remarks: list[str]
    """What is not known."""

    def record(self, since: str, until: str) -> dict[str, Any]:
        """As it is printed."""
        return {
            "since": since, "until": until, "by": self.by, "groups": [each.record() for each in self.groups],
            "objectives": [each.record() for each in self.budgets], "changes": self.changes,
            "noisiest": self.noisiest, "remarks": self.remarks,
        }  # fmt: skip


def name_in(ref: Ref, by: str, *, has_clusters: bool) -> str:
    """The name of the group that an entity belongs to."""
    name = {"entity": path_of(ref), "kind": ref.kind, "namespace": ref.namespace or _NONE, "cluster": ref.cluster}[by]
    return f"{ref.cluster}/{name}" if has_clusters and by != "cluster" else name


def groups(entities: Mapping[Ref, Sequence[Span]], incidents: Iterable[Incident], by: str) -> list[Group]:
    """The groups, the least available first; those of which nothing was observed last.

    Args:
        entities: what is known of each, over the same window.
        incidents: those that began in the window. One belongs to the group of its probable cause.
        by: one of `BY`.
    """
    has_clusters = len({ref.cluster for ref in entities}) > 1
    members: dict[str, list[Sequence[Span]]] = {}
    for ref, found in entities.items():
        members.setdefault(name_in(ref, by, has_clusters=has_clusters), []).append(found)
    causes: dict[str, list[Incident]] = {}
    for each in incidents:
        causes.setdefault(name_in(each.root.ref, by, has_clusters=has_clusters), []).append(each)
    all_groups = [_group(name, found, causes.get(name, ())) for name, found in members.items()]
    return sorted(all_groups, key=lambda each: (each.times.available is None, each.times.available or 0.0, each.name))


def _group(name: str, members: Sequence[Sequence[Span]], incidents: Sequence[Incident]) -> Group:
    each_times = [times(each) for each in members]
    shares = [each.available for each in each_times if each.available is not None]
    critical = union(span.window for each in members for span in each if span.state == "critical")
    lasted = [(each.ended_at - each.started_at).total_seconds() for each in incidents if each.ended_at is not None]
    return Group(
        name,
        len(members),
        sum(each_times, Times()),
        min(shares, default=None),
        sum(each.length for each in critical),
        len(incidents),
        sum(lasted) / len(lasted) if lasted else None,
    )


def changes(
    topology: Mapping[str, Sequence[tuple[int, TopologyEntity | None]]], window: Window, trimmed: Collection[str]
) -> list[Counted]:
    """How often each workload was given another image, configuration or number of replicas, the most often first."""
    found: list[tuple[Ref, str, int, bool]] = []
    for subject, versions in topology.items():
        made = [
            each
            for at, each in versions
            if each is not None
            and window.start <= at < window.end
            and any(sort_of(field.field) in MADE for field in each.changed)
        ]
        if made and not _is_owned(made[-1]):
            found.append((made[-1].ref, "", len(made), subject in trimmed))
    return _counted(found)


def noisiest(
    alerts: Mapping[str, Sequence[tuple[int, Alert | None]]], window: Window, trimmed: Collection[str]
) -> list[Counted]:
    """How often each alert began to fire within a window, the most often first."""
    found: list[tuple[Ref, str, int, bool]] = []
    for subject, versions in alerts.items():
        firing = [(at, each) for at, each in versions if each is not None and each.state == "firing"]
        began = {each.started_at: at for at, each in reversed(firing)}  # the first message of each time
        count = sum(window.start <= at < window.end for at in began.values())
        if count:
            _, last = firing[-1]
            found.append((last.ref, f"{last.check} ", count, subject in trimmed))
    return _counted(found)


def _counted(found: Sequence[tuple[Ref, str, int, bool]]) -> list[Counted]:
    """Entity, what stands before its name, how often, whether older ones are forgotten → the most frequent first."""
    has_clusters = len({ref.cluster for ref, *_ in found}) > 1
    counted = [
        Counted(before + name_in(ref, "entity", has_clusters=has_clusters), count, is_at_least)
        for ref, before, count, is_at_least in found
    ]
    return sorted(counted, key=lambda each: (-each.count, each.name))


def _is_owned(entity: TopologyEntity) -> bool:
    """Whether another entity made it: the container of a pod changes with its workload."""
    return any((each.kind, each.direction) == (edges.OWNS, "in") for each in entity.connections)
