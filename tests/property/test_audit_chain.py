"""The chain of the audit trail: whatever is changed, removed, moved, or cut off is found, and named."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgents_archiver.chain import Check, Head, Link, Stored, linked
from kgents_cli.auditing.exported import checked, end_of, line_of

START = datetime(2026, 11, 29, tzinfo=UTC)
bodies = st.lists(st.binary(max_size=40), min_size=1, max_size=12)


def chain(contents: list[bytes], life: int = 1) -> list[Link]:
    records = [
        Stored(life, number + 1, START + timedelta(microseconds=number), "kgents.audit.test.silence", each)
        for number, each in enumerate(contents)
    ]
    return list(linked(None, records))


def file_of(links: list[Link]) -> list[bytes]:
    return [*(line_of(each) + b"\n" for each in links), end_of(links[-1] if links else None) + b"\n"]


def verdict(links: list[Link], *heads: Head) -> Check:
    check = Check(heads)
    if all(check.take(each) for each in links):
        check.end()
    return check


@given(bodies)
def test_what_nothing_was_done_to_holds_and_goes_on_where_it_was(contents: list[bytes]) -> None:
    links = chain(contents)
    assert verdict(links, Head(len(links), links[-1].hash.hex())).faults == []
    assert checked(file_of(links)).faults == []
    for cut in range(len(links)):
        rest = [each.stored for each in links[cut:]]
        assert [*links[:cut], *linked(links[cut - 1] if cut else None, rest)] == links


@given(bodies, st.data())
def test_any_byte_of_any_line_that_is_changed_is_found_at_its_record(
    contents: list[bytes], data: st.DataObject
) -> None:
    lines = file_of(chain(contents))
    number = data.draw(st.integers(0, len(lines) - 1))
    at = data.draw(st.integers(0, len(lines[number]) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda each: each != lines[number][at] and each != 10))
    changed = lines[number][:at] + bytes([byte]) + lines[number][at + 1 :]
    found = checked([*lines[:number], changed, *lines[number + 1 :]])
    assert found.faults[0].n <= number + 1
    assert found.faults[0].n >= number


@given(bodies, st.data())
def test_a_field_that_is_changed_in_the_table_is_found_at_its_record(
    contents: list[bytes], data: st.DataObject
) -> None:
    links = chain(contents)
    number = data.draw(st.integers(0, len(links) - 1))
    link, stored = links[number], links[number].stored
    other = data.draw(
        st.sampled_from(
            [
                Stored(2, stored.seq, stored.at, stored.subject, stored.body),
                Stored(1, stored.seq + 1, stored.at, stored.subject, stored.body),
                Stored(1, stored.seq, stored.at + timedelta(microseconds=1), stored.subject, stored.body),
                Stored(1, stored.seq, stored.at, "kgents.audit.test.token", stored.body),
                Stored(1, stored.seq, stored.at, stored.subject, stored.body + b" "),
            ]
        )
    )
    links[number] = Link(link.n, link.prev, link.hash, other)
    assert verdict(links).faults[0].n == number + 1


@given(bodies, st.data())
def test_records_that_are_removed_repeated_or_swapped_are_found(contents: list[bytes], data: st.DataObject) -> None:
    links = chain([*contents, b"one", b"more"])
    number = data.draw(st.integers(0, len(links) - 2))
    without = [*links[:number], *links[number + 1 :]]
    twice = [*links[: number + 1], *links[number:]]
    swapped = [*links[:number], links[number + 1], links[number], *links[number + 2 :]]
    for each in (without, twice, swapped):
        assert verdict(each).faults[0].n in (number + 1, number + 2)
        assert checked(file_of(each)).faults[0].n in (number + 1, number + 2)


@given(bodies, st.data())
def test_an_end_that_is_cut_off_is_found_by_what_is_kept_elsewhere(contents: list[bytes], data: st.DataObject) -> None:
    links = chain(contents)
    kept = data.draw(st.integers(0, len(links) - 1))
    head = Head(len(links), links[-1].hash.hex(), "the head that you kept")
    assert verdict(links[:kept], head).faults[0].n == kept + 1
    assert checked(file_of(links)[:kept]).faults[0].n == kept + 1
    assert checked(file_of(links[:kept]), [head]).faults[0].n == kept + 1


@given(bodies, st.data())
def test_a_chain_that_is_made_again_does_not_have_the_head_that_was_kept(
    contents: list[bytes], data: st.DataObject
) -> None:
    links = chain(contents)
    number = data.draw(st.integers(0, len(links) - 1))
    again = chain([*contents[:number], contents[number] + b"!", *contents[number + 1 :]])
    assert verdict(again).faults == [], "by itself it is a chain"
    head = Head(len(links), links[-1].hash.hex(), "the head that you kept")
    assert "made again" in str(verdict(again, head).faults[0])
    assert "made again" in str(checked(file_of(again), [head]).faults[0])


def test_what_the_stream_had_lost_before_it_was_archived_is_no_whole_trail() -> None:
    first, second = chain([b"a"])[0].stored, Stored(1, 5, START, "kgents.audit.test.silence", b"b")
    found = verdict(list(linked(None, [first, second])))
    assert [str(each) for each in found.faults] == [
        "record 2: 3 before it were gone from the stream before they were archived"
    ]
    other_life = Stored(2, 5, START, "kgents.audit.test.silence", b"b")
    assert verdict(list(linked(None, [first, other_life]))).faults == []


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'{"records":0}', b"\xff", b"[" * 5000])
def test_what_is_no_line_of_an_export_is_a_fault(line: bytes) -> None:
    assert checked([line + b"\n"]).faults[0].n == 1
