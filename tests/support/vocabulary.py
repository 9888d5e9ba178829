"""What a message of a collector of ours says in words that the vocabulary does not declare."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

import msgspec

from kgents_shared.contract.entity import Entity
from kgents_shared.contract.pulse import DatabasePulse, Pulse, ResourcePulse, TrafficPulse
from kgents_shared.contract.vocabulary.attributes import ATTRIBUTES
from kgents_shared.contract.vocabulary.attributes.attribute import Attribute
from kgents_shared.contract.vocabulary.edges import CONNECTION_KINDS
from kgents_shared.contract.vocabulary.figures import FIGURES
from kgents_shared.contract.vocabulary.figures.figure import Figure
from kgents_shared.contract.vocabulary.kinds import KINDS

OURS = ("nats", "docker", "k8s", "db", "otel")
CONFIGURED = ("postgres_cluster", "service.serving.knative.dev")
"""Kinds of custom resources that tests configure, as a user may."""
NOT_FIGURES = ("timestamp", "interval_s")


def pattern(figure: Figure | Attribute) -> re.Pattern[str]:
    """Matches the names of a family, or the one name."""
    return re.compile(re.sub(r"\\\{\w+\\\}", r"[-\\w]+", re.escape(figure.name)))


SINGLE = {each.name for each in ATTRIBUTES}
FAMILIES = [re.compile(pattern(each).pattern.replace(r"[-\w]+", ".+")) for each in ATTRIBUTES if "{" in each.name]
"""A key of a label, say, may hold anything."""


def undeclared(message: object) -> Iterator[str]:
    """Kinds, connections, attributes and figures that nothing declares for this kind and source."""
    match message:
        case Entity(source=source) if source in OURS:
            yield from _kinds(message)
        case ResourcePulse() | DatabasePulse() | TrafficPulse() if message.source in OURS:
            yield from _figures(message)
        case _:
            pass


class Observed(Protocol):
    """What one poll of a collector gives."""

    @property
    def entities(self) -> Sequence[Entity]: ...

    @property
    def pulses(self) -> Sequence[Pulse]: ...


F = TypeVar("F", bound=Observed)


def declared(facts: F) -> F:
    """What a mapping made, if the vocabulary declares every word of it."""
    only_declared([*facts.entities, *facts.pulses])
    return facts


M = TypeVar("M", bound=Entity | Pulse)


def only_declared(messages: Iterable[M]) -> list[M]:
    """These messages, if the vocabulary declares every word of them."""
    found = list(messages)
    assert sorted({word for each in found for word in undeclared(each)}) == []
    return found


def _kinds(entity: Entity) -> Iterator[str]:
    if entity.ref.kind not in (*KINDS, *CONFIGURED):
        yield f"kind {entity.ref.kind}"
    yield from (f"connection kind {each.kind}" for each in entity.connections if each.kind not in CONNECTION_KINDS)
    if entity.ref.kind not in CONFIGURED:
        named = [*entity.attributes, *(name for each in entity.connections for name in each.attributes)]
        yield from (f"attribute {name}" for name in named if not _is_attribute(name))


def _is_attribute(name: str) -> bool:
    return name in SINGLE or any(family.fullmatch(name) for family in FAMILIES)


def _figures(pulse: Pulse) -> Iterator[str]:
    for section, name in measured(pulse):
        if not any(
            figure.section == section
            and pulse.source in figure.sources
            and (not figure.kinds or pulse.ref.kind in figure.kinds)
            and pattern(figure).fullmatch(name)
            for figure in FIGURES
        ):
            yield f"figure {section or 'pulse'}.{name} of {pulse.ref.kind} by {pulse.source}"


def measured(pulse: Pulse) -> Iterator[tuple[str, str]]:
    """Section and name of every figure that a pulse holds."""
    for field, value in msgspec.to_builtins(pulse).items():
        if isinstance(value, dict) and field not in ("ref", "read_at"):
            yield from ((field, name) for name in value)
        elif isinstance(value, int | float) and field not in NOT_FIGURES:
            yield "", field
