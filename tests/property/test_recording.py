"""Laws of recordings: what is written is read, and what is damaged is said."""

import gzip
import io
import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgents_shared.contract.errors import RecordingError
from kgents_shared.contract.recording import PUBLISHED, STATE, Encoder, Recording, Row

pytestmark = pytest.mark.property
AT = datetime(2026, 1, 1, tzinfo=UTC)
BODIES = (
    st.binary(max_size=200)
    | st.just(b'{"a":\r1}')
    | st.builds(
        lambda value: json.dumps(value).encode(),
        st.dictionaries(st.text(max_size=5), st.integers() | st.floats() | st.text(max_size=20), max_size=4),
    )
)
ROWS = st.lists(
    st.builds(
        Row,
        st.integers(-(10**12), 10**12),
        st.sampled_from([STATE, PUBLISHED]),
        st.integers(0, 10**9),
        st.sampled_from(["kgents.entity.c.k8s.pod.shop.a", "kgents.pulse.c.k8s.pod.shop.b"]),
        st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
        BODIES,
    ),
    max_size=20,
)


def written(rows: list[Row], size: int = 7) -> list[bytes]:
    encoder = Encoder()
    members = [encoder.begin(["c"], AT, "test")]
    members += [encoder.member(rows[start : start + size]) for start in range(0, len(rows), size)]
    return [*members, encoder.end()]


def read(content: bytes) -> list[Row]:
    return list(Recording(io.BytesIO(content)).rows())


@given(ROWS)
def test_what_is_written_is_read(rows: list[Row]) -> None:
    content = b"".join(written(rows))
    assert read(content) == rows
    assert content == b"".join(written(rows)), "the same rows are the same bytes"


@given(ROWS, st.data())
def test_a_file_that_is_cut_off_says_so_and_gives_what_it_holds(rows: list[Row], data: st.DataObject) -> None:
    content = b"".join(written(rows))
    cut = content[: data.draw(st.integers(1, len(content) - 1))]
    got: list[Row] = []
    with pytest.raises(RecordingError):
        got.extend(each for each in Recording(io.BytesIO(cut)).rows())
    assert got == rows[: len(got)]


@given(ROWS, st.data())
def test_a_bit_that_flips_is_found(rows: list[Row], data: st.DataObject) -> None:
    members = written(rows)
    place = data.draw(st.integers(0, len(members) - 1))
    at = data.draw(st.integers(10, len(members[place]) - 1))  # behind the header of gzip, which says nothing of ours
    broken = bytearray(members[place])
    broken[at] ^= 1 << data.draw(st.integers(0, 7))
    content = b"".join([*members[:place], bytes(broken), *members[place + 1 :]])
    with suppress(RecordingError):  # the last bits of a member may be padding, which says nothing
        assert read(content) == rows


@given(st.binary(max_size=300) | st.binary(max_size=300).map(gzip.compress))
def test_another_file_is_no_recording(content: bytes) -> None:
    with pytest.raises(RecordingError):
        read(content)


def test_a_bomb_is_no_recording() -> None:
    with pytest.raises(RecordingError, match="too large"):
        read(gzip.compress(bytes(64 << 20)))


def test_a_newer_version_is_named() -> None:
    header = {"kgents_recording": 3, "min_reader": 2, "clusters": [], "started_at": "2026-01-01T00:00:00Z"}
    with pytest.raises(RecordingError, match="found 3; try: a newer kgents"):
        read(gzip.compress(json.dumps(header).encode() + b"\n"))


def test_anyone_reads_it_without_us() -> None:
    rows = [Row(5, PUBLISHED, 1, "kgents.entity.c.k8s.pod.shop.a", None, b'{"text":"pod a is running"}')]
    lines = gzip.decompress(b"".join(written(rows))).decode().splitlines()
    assert json.loads(lines[1]) == [5, "P", 1, rows[0].subject, None, {"text": "pod a is running"}]
