"""The settings of edge-sync: which edges it takes care of."""

from collections.abc import Iterator

from kgents_shared.contract.section import Fault, Section


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `edge-sync:` of the configuration."""

    clusters: list[str] = []
    """Edges that this instance may take care of, by their clusters; empty: every cluster on the streams, of which those
    that are no edge need nothing. Instances share them evenly."""

    def faults(self) -> Iterator[Fault]:
        for place, cluster in enumerate(self.clusters):
            if not cluster.strip():
                yield Fault(f"clusters[{place}]", "the name of a cluster", "an empty text", "remove it")
