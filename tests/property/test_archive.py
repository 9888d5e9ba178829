"""Laws of the archive's pure parts: what is stored and what is missing are together what was published."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgents_archiver.compression import RAW, DamagedError, Packing, Unpacking, train
from kgents_archiver.holes import holes
from kgents_archiver.versions import SUBJECT_MAX, _message
from kgents_shared.bus.delivery import Delivery

BEGAN = datetime(2026, 11, 29, tzinfo=UTC)
SAMPLES = [f'{{"text": "pod shop/cart-{number} is running", "status": "running"}}'.encode() for number in range(1_000)]
DICTIONARY = train(SAMPLES)


def at(seq: int) -> datetime:
    return BEGAN + timedelta(seconds=seq)


@given(st.sets(st.integers(1, 200)), st.integers(0, 50), st.data())
def test_what_was_found_and_what_is_missing_are_all_there_was(seqs: set[int], begun: int, data: st.DataObject) -> None:
    """Also where some of it is read again, in any batches."""
    found = sorted(seq for seq in seqs if seq > begun)
    seq, missing = begun, set[int]()
    while found:
        count = data.draw(st.integers(1, len(found)))
        batch, found = found[:count], found[count:]
        again = [each for each in sorted(seqs) if seq - 3 < each <= seq]
        for hole in holes(seq, at(seq), [(each, at(each)) for each in (*again, *batch)]):
            assert hole.since < at(hole.first_seq)
            missing.update(range(hole.first_seq, hole.last_seq + 1))
            assert hole.messages == hole.last_seq - hole.first_seq + 1
        seq = max(seq, batch[-1])
    assert missing.isdisjoint(seqs)
    assert missing | {each for each in seqs if each > begun} == set(range(begun + 1, seq + 1))


def test_a_subject_that_no_index_takes_is_cut_and_its_message_stays() -> None:
    found = _message(Delivery("kgents.event." + "x" * 4_000 + "\x00", b"{}", None, 1, 1, 1_000, 0), bytes)
    assert (len(found.subject), found.body) == (SUBJECT_MAX, b"{}")


@given(st.binary(max_size=2_000) | st.sampled_from(SAMPLES))
def test_what_is_packed_is_unpacked_as_it_was(body: bytes) -> None:
    unpacking = Unpacking({1: DICTIONARY})
    for packing in (Packing(), Packing(1, DICTIONARY)):
        assert unpacking.unpack(packing.codec, packing.pack(body)) == body


@given(st.binary(max_size=200))
def test_what_cannot_be_unpacked_says_so(body: bytes) -> None:
    with pytest.raises(DamagedError, match="expected"):
        Unpacking({1: DICTIONARY}).unpack(1, b"\x00" + body)
    with pytest.raises(DamagedError, match="dictionary 2"):
        Unpacking({1: DICTIONARY}).unpack(2, body)


def test_messages_that_have_nothing_in_common_make_no_dictionary() -> None:
    with pytest.raises(ValueError, match="in common"):
        train([b"", b""])
    assert Packing().codec == RAW
