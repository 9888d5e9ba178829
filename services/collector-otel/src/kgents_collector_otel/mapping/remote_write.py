"""Prometheus' remote write, 1.0 and 2.0: a request, decompressed → series with their samples. Pure.

A request of one version read as the other would be empty without a fault: the content type says which one it is.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf import message

from kgents_collector_otel.mapping.metric_wire import classes
from kgents_collector_otel.mapping.scraped import Sample
from kgents_shared.contract.errors import MalformedMessageError

V1: Final = "prometheus.WriteRequest"
V2: Final = "io.prometheus.write.v2.Request"
_MS: Final = 1_000_000

_SHAPES: Final[Mapping[str, tuple[str, ...]]] = {
    "Request1": ("timeseries 1 *Series1",),
    "Series1": ("labels 1 *Label", "samples 2 *Sample", "exemplars 3 *Ignored", "histograms 4 *Ignored"),
    "Label": ("name 1 bytes", "value 2 bytes"),
    "Request2": ("symbols 4 *bytes", "timeseries 5 *Series2"),
    "Series2": (
        "labels_refs 1 *uint32",
        "samples 2 *Sample",
        "histograms 3 *Ignored",
        "exemplars 4 *Ignored",
        "created_timestamp 6 int64",
    ),
    "Sample": ("value 1 double", "timestamp 2 int64", "start_timestamp 3 int64"),
    "Ignored": (),
}
_CLASSES: Final = classes("kgents.prometheus", _SHAPES)


class Written(NamedTuple):
    """One series of a request."""

    labels: Mapping[str, str]
    samples: list[Sample]
    histograms: int = 0
    """How many native histograms, which are not read."""


class Accepted(NamedTuple):
    """How much a request holds. All of it is accepted, whatever of it is used."""

    samples: int
    histograms: int
    exemplars: int


def message_of(content_type: str) -> str:
    """V1 or V2; empty for any other content type."""
    kind, *parameters = [part.strip() for part in content_type.split(";")]
    if kind.lower() != "application/x-protobuf":
        return ""
    named = next((value.strip('" ') for name, _, value in (each.partition("=") for each in parameters)
                  if name.strip().lower() == "proto"), V1)  # fmt: skip
    return named if named in (V1, V2) else ""


def accepted(data: bytes, kind: str) -> Accepted:
    """How much a request holds.

    Raises:
        MalformedMessageError: it is no request of this kind.
    """
    series = _request(data, kind).timeseries
    return Accepted(*(sum(len(getattr(each, part)) for each in series) for part in Accepted._fields))


def parse(data: bytes, kind: str) -> Iterator[Written]:
    """The series of a request.

    Args:
        data: decompressed.
        kind: V1 or V2.

    Raises:
        MalformedMessageError: it is no request of this kind.
    """
    request = _request(data, kind)
    return _written1(request) if kind == V1 else _written2(request)


def _request(data: bytes, kind: str) -> Any:
    try:
        return _CLASSES["Request1" if kind == V1 else "Request2"].FromString(data)
    except message.DecodeError:
        raise MalformedMessageError(f"expected a {kind}, found no protobuf of one") from None


def _written1(request: Any) -> Iterator[Written]:
    for series in request.timeseries:
        labels = {_text(each.name): _text(each.value) for each in series.labels}
        samples = [Sample(each.timestamp * _MS, each.value) for each in series.samples]
        yield Written(labels, samples, len(series.histograms))


def _written2(request: Any) -> Iterator[Written]:
    symbols = [_text(each) for each in request.symbols]
    for series in request.timeseries:
        references = list(series.labels_refs)
        if len(references) % 2 or max(references, default=0) >= len(symbols):
            raise MalformedMessageError("expected pairs of references to symbols, found others")
        names = [symbols[each] for each in references]
        created = series.created_timestamp
        samples = [
            Sample(each.timestamp * _MS, each.value, (each.start_timestamp or created) * _MS) for each in series.samples
        ]
        yield Written(dict(zip(names[::2], names[1::2], strict=True)), samples, len(series.histograms))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
