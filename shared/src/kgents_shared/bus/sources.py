"""How a stream of a hub copies the stream of the same name at an edge, in JetStream's terms. Pure.

An edge is a leaf node with a JetStream domain of its own, named like its cluster. The filter decides what may come from
there: an edge that writes in the name of another cluster is not copied.
"""

from collections.abc import Mapping
from typing import Any, Final

from kgents_shared.bus.requests import api_prefix_of
from kgents_shared.contract import subjects
from kgents_shared.contract.streams import COLLECTED, Stream

ORIGIN: Final = "Nats-Stream-Source"
"""Header of a message that was copied: its stream, its sequence there, and more."""
_DELIVER: Final = "kgents_deliver"

Source = dict[str, Any]


def sources_of(stream: Stream) -> list[Source]:
    """The sources of a stream, one for each edge, in the order of `api_of`."""
    return sorted((source_of(stream.name, stream.signal, edge) for edge in stream.edges), key=api_of)


def source_of(stream: str, signal: str, edge: str) -> Source:
    """One source."""
    return {
        "name": stream,
        "filter_subject": filter_of(signal, edge),
        "external": {"api": api_prefix_of(edge).removesuffix("."), "deliver": deliver_of(edge)},
    }


def filter_of(signal: str, edge: str) -> str:
    """What is copied from an edge: the subjects of its own cluster."""
    return subjects.pattern(signal, cluster=edge)


def deliver_of(edge: str) -> str:
    """How the subjects begin on which an edge delivers to its hub."""
    return f"{_DELIVER}.{edge}"


def api_of(source: Mapping[str, Any]) -> str:
    """The API that a source asks; the only key of it that never changes."""
    return str((source.get("external") or {}).get("api", ""))


def edge_of(source: Mapping[str, Any]) -> str:
    """The edge of a source; empty if it is of no edge."""
    head, domain, tail = [*api_of(source).split("."), "", "", ""][:3]
    return domain if (head, tail) == ("$JS", "API") else ""


def is_of_edge(stream: str, source: Mapping[str, Any]) -> bool:
    """Whether a source copies the same stream of an edge, and of that the edge's cluster alone."""
    edge = edge_of(source)
    if not edge or source.get("name") != stream:
        return False
    return source.get("filter_subject") in {filter_of(signal, edge) for signal in COLLECTED}


def origin_seq(header: str) -> int:
    """The sequence at the edge of a copied message, of its ORIGIN header; 0 if there is none."""
    fields = header.split()
    return int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else 0
