"""Requests of remote write, 1.0 and 2.0, built by the published definitions: the samples, and what is answered."""

from typing import Any

import cramjam
import pytest

from kgents_collector_otel.mapping import remote_write
from kgents_collector_otel.mapping.remote_write import V1, V2, Written
from kgents_collector_otel.mapping.scraped import Sample
from kgents_collector_otel.source.admission import Admission, BusyError, Outcome
from kgents_collector_otel.source.remote_write import SIGNALS, Answer, answer
from kgents_shared.contract.errors import MalformedMessageError
from support.clock import FakeClock
from support.remote_write import PUBLISHED

pytestmark = pytest.mark.unit

LABELS = {"__name__": "response_total", "deployment": "web"}
TYPES = {
    V1: "application/x-protobuf",
    V2: "application/x-protobuf;proto=io.prometheus.write.v2.Request",
}


def version1() -> bytes:
    request = PUBLISHED["WriteRequest"]()
    series = request.timeseries.add()
    for name, value in LABELS.items():
        series.labels.add(name=name, value=value)
    series.samples.add(value=4.0, timestamp=1_000)
    series.samples.add(value=5.0, timestamp=2_000)
    series.exemplars.add(value=1.0)
    series.histograms.add(count_int=1)
    request.metadata.add(type=1, metric_family_name="response")
    return bytes(request.SerializeToString())


def version2(references: tuple[int, ...] = (1, 2, 3, 4)) -> bytes:
    request = PUBLISHED["Request"]()
    request.symbols.extend(["", *(text for pair in LABELS.items() for text in pair)])
    series = request.timeseries.add(labels_refs=references, created_timestamp=500)
    series.samples.add(value=4.0, timestamp=1_000)
    series.histograms.add(count_int=1)
    return bytes(request.SerializeToString())


def headers(kind: str) -> dict[bytes, str]:
    return {b"content-type": TYPES[kind], b"content-encoding": "snappy"}


class Sinks(Admission):
    """Accepts everything, or is busy."""

    def __init__(self, *, is_busy: bool = False) -> None:
        self.taken: list[str] = []
        self.is_busy = is_busy
        super().__init__({}, FakeClock(), max_bytes=2**20)

    async def take(self, signal: str, body: bytes) -> Outcome:
        if self.is_busy:
            raise BusyError
        self.taken.append(signal)
        return Outcome()


async def answered(kind: str, body: bytes, *, compress: bool = True, **more: Any) -> Answer:
    data = bytes(cramjam.snappy.compress_raw(body)) if compress else body
    return await answer(headers(kind), data, more.get("sinks", Sinks()), max_bytes=more.get("max_bytes", 2**20))


def test_a_request_of_1_0_gives_its_samples() -> None:
    expected = [Written(LABELS, [Sample(1_000_000_000, 4.0), Sample(2_000_000_000, 5.0)], 1)]
    assert list(remote_write.parse(version1(), V1)) == expected
    assert remote_write.accepted(version1(), V1) == (2, 1, 1)


def test_a_request_of_2_0_gives_its_samples_and_since_when_they_count() -> None:
    assert list(remote_write.parse(version2(), V2)) == [Written(LABELS, [Sample(1_000_000_000, 4.0, 500_000_000)], 1)]


@pytest.mark.parametrize("references", [(1,), (1, 9)])
def test_references_that_lead_nowhere_are_malformed(references: tuple[int, ...]) -> None:
    with pytest.raises(MalformedMessageError, match="references"):
        list(remote_write.parse(version2(references), V2))


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/x-protobuf", V1),
        ("application/x-protobuf; proto=prometheus.WriteRequest", V1),
        ('Application/X-Protobuf;proto="io.prometheus.write.v2.Request"', V2),
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", ""),
        ("application/json", ""),
        ("", ""),
    ],
)
def test_the_content_type_says_which_one_it_is(content_type: str, kind: str) -> None:
    assert remote_write.message_of(content_type) == kind


async def test_2_0_is_answered_with_how_much_was_written_used_or_not() -> None:
    assert await answered(V1, version1()) == Answer(204)
    found = await answered(V2, version2())
    assert (found.status, dict(found.headers)) == (
        204,
        {
            b"x-prometheus-remote-write-samples-written": b"1",
            b"x-prometheus-remote-write-histograms-written": b"1",
            b"x-prometheus-remote-write-exemplars-written": b"0",
        },
    )


async def test_each_version_goes_to_its_sink() -> None:
    sinks = Sinks()
    for kind, body in ((V1, version1()), (V2, version2())):
        await answered(kind, body, sinks=sinks)
    assert sinks.taken == [SIGNALS[V1], SIGNALS[V2]]


@pytest.mark.parametrize("kind", [V1, V2])
async def test_only_busy_means_come_again(kind: str) -> None:
    body = version1() if kind == V1 else version2()
    assert (await answered(kind, body, sinks=Sinks(is_busy=True))).status == 503
    assert (await answered(kind, b"\xff\xff")).status == 400
    assert (await answered(kind, body, compress=False)).status == 400
    assert (await answered(kind, body * 10_000, max_bytes=1_000)).status == 413
