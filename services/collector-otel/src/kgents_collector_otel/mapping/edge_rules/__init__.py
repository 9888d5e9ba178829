"""Which series of Prometheus are traffic between whom, as data: `*.toml` beside this module."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final, Literal

import msgspec
from msgspec import Struct

from kgents_collector_otel.mapping.rules import Condition
from kgents_shared.contract.section import Fault
from kgents_shared.contract.vocabulary.edges import CONNECTION_KINDS, ConnectionKindName

Labels = Mapping[str, str]


class Side(Struct, frozen=True, forbid_unknown_fields=True):
    """Which labels name one side of an edge. The first that is there and names something counts."""

    name: list[str]
    namespace: list[str] = []


class EdgeRule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One counter of requests with what belongs to it."""

    requests: str
    """A counter of requests."""

    failed: str = ""
    """A counter of those of them that failed, if no label of `requests` says which."""

    latency: str = ""
    """The name of a histogram, without `_bucket`."""

    latency_unit: Literal["ms", "s"] = "s"

    measured_by: Literal["client", "server"] = "server"
    """Whose errors and latency these are."""

    where: list[Condition] = []
    unless: list[Condition] = []
    error: list[Condition] = []
    """Requests of which one of these holds have failed."""

    caller: Side
    callee: Side

    unknown: tuple[str, ...] = ("unknown",)
    """Values that name no one."""

    kind: str = "network"
    """Of the edge."""

    kind_label: str = ""
    kinds: dict[str, str] = {}
    """Value of `kind_label` → kind of the edge."""

    needs: str = ""
    """What to configure at the source if its series do not name the two sides."""

    def applies(self, labels: Labels) -> bool:
        """Whether a series with these labels is traffic of this rule."""
        return all(each.holds(labels) for each in self.where) and not any(each.holds(labels) for each in self.unless)

    def is_error(self, labels: Labels) -> bool:
        return any(each.holds(labels) for each in self.error)

    def named(self, side: Side, labels: Labels) -> tuple[str, str] | None:
        """Namespace and name of a side; None if its labels name no one."""
        name = self._first(side.name, labels)
        return (self._first(side.namespace, labels), name) if name else None

    def kind_of(self, labels: Labels) -> ConnectionKindName:
        """The kind of the edge."""
        return ConnectionKindName(self.kinds.get(labels.get(self.kind_label, ""), self.kind))

    def _first(self, names: list[str], labels: Labels) -> str:
        return next((found for name in names if (found := labels.get(name, "")) and found not in self.unknown), "")


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    edge: list[EdgeRule]


def decode(text: str) -> list[EdgeRule]:
    """The rules of one file.

    Raises:
        msgspec.ValidationError: it is not a file of rules.
    """
    found = msgspec.toml.decode(text, type=_File).edge
    for rule in found:
        for kind in (rule.kind, *rule.kinds.values()):
            if kind not in CONNECTION_KINDS:
                known = ", ".join(CONNECTION_KINDS)
                raise msgspec.ValidationError(str(Fault("kind", f"one of {known}", kind, "try: network")))
    return found


def _load() -> Mapping[str, tuple[EdgeRule, ...]]:
    found = sorted((each for each in files(__name__).iterdir() if each.name.endswith(".toml")), key=lambda f: f.name)
    return {each.name.removesuffix(".toml"): tuple(decode(each.read_text(encoding="utf-8"))) for each in found}


EDGE_RULES: Final = _load()
"""Ours: name of the file → its rules."""
