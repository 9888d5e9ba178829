"""Objectives of a file, and what was observed → how much of each error budget is spent. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec

from kgents_cli.availability.planned import Planned
from kgents_cli.availability.spans import US_PER_S, Times
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import TrafficPulse
from kgents_shared.view.find import path_of

Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class Edge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests from some applications to some peers; `*` stands for any characters."""

    caller: str = "*"
    """`app/shop/web`, or a part of it with `*`."""
    peer: str = "*"
    """The peer's path, or its address."""


class Objective(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is promised: a share of the time (of entities) or of the requests (of an edge)."""

    name: str
    target: Share
    """0.999: one in a thousand may fail."""
    namespace: str = "*"
    kind: str = "*"
    entity: str = "*"
    """The name of entities; with namespace and kind it says whose time counts."""
    edge: Edge | None = None
    """Of an objective on requests: which."""


class Objectives(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file: what is promised, and what was planned."""

    objectives: list[Objective] = []
    planned: list[Planned] = []


class Budget(msgspec.Struct, frozen=True):
    """How an objective was met."""

    name: str
    target: float
    of: str
    """`time` or `requests`."""
    good: float
    """Seconds that were not critical, or requests that succeeded."""
    total: float
    """Seconds that were observed, or requests that were counted."""
    matched: int
    """Entities, or callers and peers, that it is made of."""

    @property
    def ratio(self) -> float | None:
        """The share that was good; None: nothing was observed."""
        return self.good / self.total if self.total else None

    @property
    def spent(self) -> float | None:
        """The share of the error budget that is spent, which is also the mean burn rate; over 1: it is missed."""
        return (1 - self.ratio) / (1 - self.target) if self.ratio is not None else None

    @property
    def left(self) -> float | None:
        """The seconds or requests that may still fail in this window; negative: so much too many failed."""
        return self.total * (1 - self.target) - (self.total - self.good) if self.total else None

    def record(self) -> dict[str, Any]:
        """As it is printed."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return {**given, "ratio": self.ratio, "budget_spent_ratio": self.spent, "budget_left": self.left}


def parsed(content: Any) -> Objectives:
    """The objectives of a file.

    Raises:
        msgspec.ValidationError: it states something else.
    """
    return msgspec.convert(content, Objectives)


def budgets(
    objectives: Sequence[Objective], entities: Mapping[Ref, Times], pulses: Iterable[TrafficPulse]
) -> list[Budget]:
    """How each objective was met, the one that spent most of its budget first; those without data last."""
    samples = list(pulses)
    found = [_of_edge(each, each.edge, samples) if each.edge else _of_time(each, entities) for each in objectives]
    return sorted(found, key=lambda each: (each.spent is None, -(each.spent or 0.0), each.name))


def _of_time(objective: Objective, entities: Mapping[Ref, Times]) -> Budget:
    taken = [times for ref, times in entities.items() if _takes(objective, ref)]
    good = sum(each.healthy + each.warning for each in taken)
    total = sum(each.observed for each in taken)
    return Budget(objective.name, objective.target, "time", good / US_PER_S, total / US_PER_S, len(taken))


def _takes(objective: Objective, ref: Ref) -> bool:
    pairs = ((ref.namespace, objective.namespace), (ref.kind, objective.kind), (ref.name, objective.entity))
    return all(fnmatchcase(value, pattern) for value, pattern in pairs)


def _of_edge(objective: Objective, edge: Edge, pulses: Sequence[TrafficPulse]) -> Budget:
    """Never a mean of ratios: requests are summed, and what was not called has no part in it."""
    good = total = 0.0
    pairs = set()
    for pulse in pulses:
        if not fnmatchcase(path_of(pulse.ref), edge.caller):
            continue
        for each in pulse.edges:
            peer = path_of(each.peer) if isinstance(each.peer, Ref) else each.peer
            if fnmatchcase(peer, edge.peer):
                pairs.add((pulse.ref, peer))
                total += each.n
                good += each.n - min(max(each.errors_client, each.errors_server), each.n)
    return Budget(objective.name, objective.target, "requests", good, total, len(pairs))
