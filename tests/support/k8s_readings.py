"""How far the resources of a cluster are read, as a test decides."""

from dataclasses import dataclass
from typing import Any

from kgents_collector_k8s.mapping import CATALOGUE
from kgents_collector_k8s.mapping.fragment import Kind
from kgents_collector_k8s.scopes import Scopes

ALL = {kind.resource: kind for kind in CATALOGUE}


@dataclass
class Reading:
    """How far one resource is read."""

    kind: Kind[Any]
    namespace: str = ""
    is_synced: bool = False
    is_settled: bool = False
    fault: str = ""

    def lists(self) -> None:
        self.is_synced = self.is_settled = True

    def fails(self, fault: str) -> None:
        self.fault, self.is_settled = fault, True


class Readings:
    """All readings of a cluster, and what they permit."""

    def __init__(self, *resources: str, namespaces: tuple[str, ...] = ("",)) -> None:
        self.readings = [Reading(ALL[name], namespace) for name in resources for namespace in namespaces]
        self.scopes = Scopes(self.readings)

    def __getitem__(self, resource: str) -> Reading:
        return next(each for each in self.readings if each.kind.resource == resource)

    def list_all(self, *but: str) -> None:
        for each in self.readings:
            if each.kind.resource not in but:
                each.lists()

    def unread(self) -> dict[str, str]:
        """Kind → why it is not attested."""
        self.scopes.update()
        return {each.kind: each.reason for each in self.scopes.unread()}
