"""Prometheus' remote write, 1.0 and 2.0, over the HTTP receiver → Admission.

Prometheus repeats a request that is answered with 503 for as long as it takes, and drops what is answered with any
other error, 429 among them. So what cannot be decoded is 400, and 503 means nothing but "later".
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import cramjam

from kgents_collector_otel.mapping import remote_write
from kgents_collector_otel.source.admission import Admission, BusyError, MalformedRequestError
from kgents_shared.contract.errors import MalformedMessageError

PATH: Final = "/api/v1/write"
SIGNALS: Final = {remote_write.V1: "remote write 1.0", remote_write.V2: "remote write 2.0"}
"""Message → the signal of its sink."""
_WRITTEN: Final = {
    "samples": b"x-prometheus-remote-write-samples-written",
    "histograms": b"x-prometheus-remote-write-histograms-written",
    "exemplars": b"x-prometheus-remote-write-exemplars-written",
}
_LENGTH_BYTES_MAX: Final = 5


class Answer(NamedTuple):
    """What a sender is answered."""

    status: int
    text: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


class _RefusedError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


async def answer(headers: Mapping[bytes, str], body: bytes, admission: Admission, *, max_bytes: int) -> Answer:
    """Take one request.

    Args:
        headers: of the request, by lower-case name.
        body: as it came.
        admission: where it goes.
        max_bytes: of the request, decompressed.
    """
    try:
        kind = _kind(headers)
        data = _decompressed(body, max_bytes)
        accepted = remote_write.accepted(data, kind)
        await admission.take(SIGNALS[kind], data)
    except _RefusedError as error:
        return Answer(error.status, str(error))
    except (MalformedMessageError, MalformedRequestError) as error:
        return Answer(400, str(error))
    except BusyError:
        return Answer(503, "too many requests at once")
    written = accepted._asdict().items() if kind == remote_write.V2 else ()
    return Answer(204, headers=tuple((_WRITTEN[name], str(number).encode()) for name, number in written))


def _kind(headers: Mapping[bytes, str]) -> str:
    kind = remote_write.message_of(headers.get(b"content-type", ""))
    if not kind or headers.get(b"content-encoding", "").strip().lower() != "snappy":
        known = " or ".join(SIGNALS)
        raise _RefusedError(415, f"expected application/x-protobuf of {known}, compressed with snappy")
    return kind


def _decompressed(body: bytes, max_bytes: int) -> bytes:
    size = _decompressed_size(body)
    if size is not None and size > max_bytes:
        raise _RefusedError(413, f"expected at most {max_bytes:,} bytes, decompressed; try: max_samples_per_send")
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError:
        raise _RefusedError(400, "expected a block of snappy, found another body") from None


def _decompressed_size(body: bytes) -> int | None:
    """The length that a block of snappy begins with; None if it does not."""
    size = 0
    for place, byte in enumerate(body[:_LENGTH_BYTES_MAX]):
        size |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return size
    return None
