"""What every kind's mapping gets besides the engine's answers: the engine, and the names of its entities."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from kgents_collector_docker.mapping import labels
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.vocabulary import edges, kinds

SOURCE: Final = "docker"
PROJECT_LABEL: Final = "com.docker.compose.project"


class Scope(Struct, frozen=True):
    """One engine in its cluster."""

    cluster: str
    engine: str
    """The configured name; empty for the one engine that may have none."""
    host: str
    """The machine's own name, under which an unnamed engine is shown."""
    at: datetime
    """Now, by the engine's clock: what its own times are compared with."""
    sampled_at: datetime
    """Now, by the server's: the time of samples."""
    allowed_labels: tuple[str, ...] = ()
    """Labels to show beyond the default ones."""
    others: frozenset[str] = frozenset()
    """The configured names of the other engines. A single engine may claim names and addresses that are only valid on
    its own machine; among several, only the unnamed one does, or several containers would claim 172.17.0.2."""
    reached_at: str = ""
    """The host part of the engine's address; empty for a socket."""

    @property
    def is_local(self) -> bool:
        """Whether this engine may claim names and addresses that are only valid on its machine."""
        return not (self.engine and self.others)

    def name(self, own: str) -> str:
        """The name of an entity in the cluster, unique among all engines.

        An image `prod/app` of the unnamed engine is `/prod/app` beside an engine `prod`, which may have an `app`.
        """
        if self.engine:
            return f"{self.engine}/{own}"
        first, slash, _ = own.partition("/")
        is_taken = bool(slash) and (not first or first in self.others)
        return f"/{own}" if self.others and is_taken else own

    def ref(self, kind: str, own: str) -> Ref:
        """The ref of an entity outside of projects."""
        return Ref(self.cluster, kind, self.name(own))

    @property
    def host_ref(self) -> Ref:
        """The engine: by its name, or else by its machine's, which may be another engine's name."""
        machine = self.host or "docker"
        name = self.engine or (f"/{machine}" if machine in self.others else machine)
        return Ref(self.cluster, kinds.HOST, name)

    def project_ref(self, project: str) -> Ref:
        """A Compose project."""
        return self.ref(kinds.NAMESPACE, project)

    def container_ref(self, own: str, project: str) -> Ref:
        """A container, in its project if it has one."""
        return Ref(self.cluster, kinds.CONTAINER, self.name(own), self.name(project) if project else "")

    def runs_on(self, evidence: str) -> Connection:
        """The connection of everything to its engine."""
        return Connection(kind=edges.RUNS_ON, peer=self.host_ref, evidence=evidence)

    def owned(self, given: Mapping[str, str] | None) -> list[Connection]:
        """The connection to the project that a label names; none without."""
        project = (given or {}).get(PROJECT_LABEL, "")
        if not project:
            return []
        return [Connection(kind=edges.OWNS, peer=self.project_ref(project), direction="in", evidence=PROJECT_LABEL)]

    def labels(self, given: Mapping[str, str] | None) -> dict[str, str]:
        """The labels that may be published."""
        return labels.shown(given or {}, self.allowed_labels)


def part_name(engine: str, *, is_alone: bool) -> str:
    """What a heartbeat calls the entities of an engine. Only that of a single engine may be empty: it means all."""
    return engine or ("" if is_alone else "(unnamed)")


def owner(entity: Entity, engines: Iterable[str]) -> str:
    """The engine of a published entity: the one that it is or runs on, or else the unnamed one.

    Its name alone is not enough: before an engine `prod` was configured, the unnamed one's image `prod/app` had that
    name. Nor is its engine's: until then, the unnamed one had its machine's name, which may be `prod`.
    """
    peers = (each.peer for each in entity.connections if each.kind == edges.RUNS_ON)
    host = next((peer.name for peer in peers if isinstance(peer, Ref)), "")
    if host and not entity.ref.name.startswith(f"{host}/"):
        return ""
    name = host or entity.ref.name
    return name if name in set(engines) else ""
