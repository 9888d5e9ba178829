"""Objectives of a file, and what was observed → how much of each error budget is spent. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec

from kgents_cli.availability.planned import Planned
from kgents_cli.availability.spans import US_PER_S, Times
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import EdgeSample, TrafficPulse
from kgents_shared.contract.traffic import FAILED, REQUESTS, TIMED, Calls, calls, peer_of, within
from kgents_shared.view.find import path_of

Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class Edge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests from some applications to some peers; `*` stands for any characters."""

    caller: str = "*"
    """`app/shop/web`, or a part of it with `*`."""
    peer: str = "*"
    """The peer's path, or its address."""
    within_ms: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """The objective is that they take no longer, at the caller if its side is known; null: that they succeed."""


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
    """`time`, `requests` or `requests within 250 ms`."""
    good: float
    """Seconds that were not critical, requests that succeeded, or those that took no longer."""
    total: float
    """Seconds that were observed, requests that were counted, or those whose duration is known."""
    matched: int
    """Entities, or callers and peers, that it is made of."""
    unknown: float = 0.0
    """Seconds that were not observed, or requests whose duration is not known: they count neither way."""

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


class Called(msgspec.Struct, frozen=True):
    """What one application called at one peer, in one sample."""

    caller: Ref
    peer: str
    sample: EdgeSample

    def calls(self, within_ms: float | None) -> Calls:
        """Its requests."""
        return calls(self.sample, within_ms)


class KeptCalls(msgspec.Struct, frozen=True):
    """The same over a longer time, as the archive keeps it."""

    caller: Ref
    peer: str
    figures: dict[str, float]
    """Sums by their names."""

    def calls(self, within_ms: float | None) -> Calls:
        """Its requests."""
        timed = self.figures.get(TIMED, 0.0)
        fast = self.figures.get(within(within_ms)) if within_ms is not None and timed else 0.0
        return Calls(self.figures.get(REQUESTS, 0.0), self.figures.get(FAILED, 0.0), timed, fast)


def budgets(
    objectives: Sequence[Objective],
    entities: Mapping[Ref, Times],
    pulses: Iterable[TrafficPulse],
    kept: Iterable[KeptCalls] = (),
) -> list[Budget]:
    """How each objective was met, the one that spent most of its budget first; those without data last.

    Args:
        objectives: what is promised.
        entities: the time of each in each level.
        pulses: samples of requests.
        kept: what is kept of those before.
    """
    samples = [Called(each.ref, peer_of(sample), sample) for each in pulses for sample in each.edges]
    called: list[Called | KeptCalls] = [*samples, *kept]
    found = [_of_edge(each, each.edge, called) if each.edge else _of_time(each, entities) for each in objectives]
    return sorted(found, key=lambda each: (each.spent is None, -(each.spent or 0.0), each.name))


def _of_time(objective: Objective, entities: Mapping[Ref, Times]) -> Budget:
    taken = [times for ref, times in entities.items() if _takes(objective, ref)]
    good = sum(each.healthy + each.warning for each in taken)
    total = sum(each.observed for each in taken)
    unknown = sum(each.unknown for each in taken) / US_PER_S
    return Budget(objective.name, objective.target, "time", good / US_PER_S, total / US_PER_S, len(taken), unknown)


def _takes(objective: Objective, ref: Ref) -> bool:
    pairs = ((ref.namespace, objective.namespace), (ref.kind, objective.kind), (ref.name, objective.entity))
    return all(fnmatchcase(value, pattern) for value, pattern in pairs)


def _of_edge(objective: Objective, edge: Edge, found: Iterable[Called | KeptCalls]) -> Budget:
    """Never a mean of ratios: requests are summed, and what was not called has no part in it."""
    good = total = unknown = 0.0
    pairs = set()
    for each in found:
        if not (fnmatchcase(path_of(each.caller), edge.caller) and fnmatchcase(each.peer, edge.peer)):
            continue
        pairs.add((each.caller, each.peer))
        counted = each.calls(edge.within_ms)
        if edge.within_ms is None:
            good, total = good + counted.requests - counted.failed, total + counted.requests
        elif counted.within is None:
            unknown += counted.requests
        else:
            good, total = good + counted.within, total + counted.timed
            unknown += max(counted.requests - counted.timed, 0.0)
    of = "requests" if edge.within_ms is None else f"requests within {edge.within_ms:g} ms"
    return Budget(objective.name, objective.target, of, good, total, len(pairs), unknown)
