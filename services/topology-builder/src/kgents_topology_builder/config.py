"""The settings of topology-builder: which clusters it builds, and which source wins."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from kgents_shared.contract.section import Fault, Section

SOURCE_PRIORITY: Final = ["k8s", "docker", "db", "nats", "otel"]
_ALSO_CALLED: Final = {"kubernetes": "k8s", "database": "db", "databases": "db", "opentelemetry": "otel"}
_COLLECTOR: Final = "collector-"


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `topology-builder:` of the configuration."""

    clusters: list[str] = []
    """Clusters that this instance may build; empty: every cluster on the stream. Instances share them evenly, each
    cluster built by one of them at a time."""

    source_priority: list[str] = msgspec.field(default_factory=lambda: list(SOURCE_PRIORITY))
    """Which source wins when two disagree on one entity, first to last; others follow by name.

    Orchestrators first: they decide what runs, an engine or a client only sees its part of it.
    """

    own_sources: list[str] = []
    """Sources of publishers of your own, as in the subjects of their messages, so that `source_priority` may name
    them; any other name there is a mistake. A source that need not win over others need not be here."""

    def faults(self) -> Iterator[Fault]:
        for place, cluster in enumerate(self.clusters):
            if not cluster.strip():
                yield Fault(f"clusters[{place}]", "the name of a cluster", "an empty text", "remove it")
        known = (*SOURCE_PRIORITY, *self.own_sources)
        for place, source in enumerate(self.source_priority):
            at = f"source_priority[{place}]"
            if source not in known:
                near = _meant(source, known)
                advice = f"did you mean {near}?" if near else "add it to own_sources if you publish it yourself"
                yield Fault(at, f"one of {', '.join(known)}", f'"{source}"', advice, beside=("own_sources",))
            elif source in self.source_priority[:place]:
                yield Fault(at, "each source once", f"{source} twice", "remove one of them")


def _meant(source: str, known: Sequence[str]) -> str:
    """The source that a name was probably meant to be; empty for a name like none."""
    name = source.strip().lower().removeprefix(_COLLECTOR)
    name = _ALSO_CALLED.get(name, name)
    return next(iter(difflib.get_close_matches(name, known, 1)), "")
