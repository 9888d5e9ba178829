"""The laws of the subject grammar: nothing gets lost or confused, and no server is offered an illegal subject."""

import re
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from kgents_shared.bus.subject_counts import _parts
from kgents_shared.contract import subjects
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.subjects import (
    FIELDS,
    MAX_TOKEN_CHARS,
    build,
    escape,
    is_hashed,
    matches,
    parse,
    pattern,
    unescape,
)

LEGAL_TOKEN = re.compile(r"[^\s.*>\x00]+\Z")
"""What NATS takes as one token."""
SUBJECT_BYTES_MAX = 1024
"""A quarter of the server's default `max_control_line`, which has to hold a reply subject and sizes beside it."""

texts = st.text()  # Hypothesis leaves surrogates out: no JSON document can hold one
tricky = st.text(alphabet="a_-.=*> 25EFef\u00e9\x00\n", max_size=12)
"""Near the escape rule: its own mark, its hexadecimal digits, and what must be escaped."""
long = st.integers(1, 90).flatmap(lambda size: st.text(alphabet="a.=é", min_size=size, max_size=4 * size))
"""Around and beyond the length at which a token is cut."""
values = texts | tricky | long
tokens = st.text(alphabet="ab_-.=2EF5DdeC3\u00e9 \n", max_size=12) | texts
signals = st.sampled_from(sorted(FIELDS))


@st.composite
def named(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """A signal with a value for each of its fields."""
    signal = draw(signals)
    return signal, {field: draw(values) for field in FIELDS[signal]}


# Subjects of an entity


@given(signal=st.sampled_from([each for each in FIELDS if "name" in FIELDS[each]]), values=st.data())
def test_an_entity_has_the_subject_that_its_fields_give(signal: str, values: st.DataObject) -> None:
    names = {field: values.draw(tricky | texts) for field in FIELDS[signal]}
    own = {field: names[field] for field in ("cluster", "kind", "namespace", "name")}
    more = {field: value for field, value in names.items() if field not in own}
    assert Ref(**own).subject(signal, **more) == build(signal, **names)


# One token


@given(value=values)
@example(value="")
@example(value="_")
@example(value="=")
@example(value="==")
@example(value="a=2Eb")
def test_a_token_is_turned_back_into_its_value(value: str) -> None:
    token = escape(value)
    if is_hashed(token):
        with pytest.raises(MalformedMessageError):
            unescape(token)
    else:
        assert unescape(token) == value


@given(one=values, other=values)
@example(one="a.b", other="a=2Eb")
@example(one="", other="_")
@example(one="_", other="=5F")
@example(one="__", other="_")
@example(one="a\n", other="a")
@example(one="é", other="e\u0301")
@example(one="." * 60, other="." * 61)
@example(one="a" * 120, other="a" * 121)
def test_two_values_never_share_a_token(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) is (one == other)


@given(value=values)
def test_a_value_never_shares_a_token_with_its_own_token(value: str) -> None:
    token = escape(value)
    assert (escape(token) == token) is (token == value)


@given(value=values)
def test_a_token_is_legal_and_short(value: str) -> None:
    token = escape(value)
    assert LEGAL_TOKEN.match(token)
    assert token.isascii()
    assert len(token) <= MAX_TOKEN_CHARS


@given(beginning=st.text(alphabet="a.é", min_size=120), one=values, other=values)
def test_cut_tokens_stay_distinct(beginning: str, one: str, other: str) -> None:
    assume(one != other)
    cut, other_cut = escape(beginning + one), escape(beginning + other)
    assert cut != other_cut
    assert max(len(cut), len(other_cut)) <= MAX_TOKEN_CHARS


@given(beginning=st.text(alphabet="a.é", min_size=121))
def test_a_cut_token_still_shows_how_its_value_begins(beginning: str) -> None:
    kept, mark, digest = escape(beginning).partition("==")
    assert (mark, len(digest)) == ("==", 32)
    whole = re.sub("[^A-Za-z0-9_-]", lambda hit: "".join(f"={byte:02X}" for byte in hit[0].encode()), beginning)
    assert whole.startswith(kept)
    assert not re.search("=.?$", kept), "cut within an escape"


@given(text=tokens)
@example(text="")
@example(text="a=2eb")  # lower case
@example(text="=41")  # needless
@example(text="=FF")  # no UTF-8
@example(text="=2")
@example(text="a\n")
@example(text="__")
def test_only_what_escape_returns_is_unescaped(text: str) -> None:
    try:
        value = unescape(text)
    except MalformedMessageError:
        return
    assert escape(value) == text


# A whole subject


@given(parts=named())
def test_a_built_subject_is_legal_and_has_its_fixed_number_of_tokens(parts: tuple[str, dict[str, str]]) -> None:
    signal, fields = parts
    subject = build(signal, **fields)
    found = subject.split(".")
    assert len(found) == 2 + len(FIELDS[signal])
    assert all(LEGAL_TOKEN.match(token) for token in found)
    assert len(subject.encode()) < SUBJECT_BYTES_MAX


@given(parts=named())
def test_parsing_gives_back_what_was_built(parts: tuple[str, dict[str, str]]) -> None:
    signal, fields = parts
    parsed = parse(build(signal, **fields))
    assert parsed.signal == signal
    assert list(parsed.tokens) == list(FIELDS[signal])
    for field, value in fields.items():
        assert parsed.tokens[field] == escape(value)
        if not is_hashed(parsed.tokens[field]):
            assert parsed.value(field) == value


@given(one=named(), other=named())
def test_two_entities_never_share_a_subject(one: tuple[str, dict[str, str]], other: tuple[str, dict[str, str]]) -> None:
    assert (build(one[0], **one[1]) == build(other[0], **other[1])) is (one == other)


@given(subject=texts | st.lists(tokens, max_size=8).map(lambda parts: ".".join(["kgents", "health", *parts])))
def test_whatever_is_parsed_is_a_legal_subject(subject: str) -> None:
    try:
        parsed = parse(subject)
    except MalformedMessageError:
        return
    assert all(LEGAL_TOKEN.match(token) for token in parsed.tokens.values())
    assert ".".join((subjects.ROOT, parsed.signal, *parsed.tokens.values())) == subject


# Filters


@given(parts=named(), data=st.data())
def test_a_pattern_matches_what_it_was_made_of(parts: tuple[str, dict[str, str]], data: st.DataObject) -> None:
    signal, fields = parts
    known = data.draw(st.sets(st.sampled_from(FIELDS[signal])))
    filter_ = pattern(signal, **{field: fields[field] for field in known})
    assert matches(build(signal, **fields), filter_)
    assert filter_.count(".") == build(signal, **fields).count(".")


@given(parts=named(), signal=signals)
def test_a_pattern_matches_nothing_of_another_signal(parts: tuple[str, dict[str, str]], signal: str) -> None:
    assert matches(build(parts[0], **parts[1]), pattern(signal)) is (signal == parts[0])


@given(parts=named(), data=st.data())
def test_a_pattern_matches_nothing_of_another_value(parts: tuple[str, dict[str, str]], data: st.DataObject) -> None:
    signal, fields = parts
    field = data.draw(st.sampled_from(FIELDS[signal]))
    value = data.draw(values)
    assert matches(build(signal, **fields), pattern(signal, **{field: value})) is (value == fields[field])


@given(parts=named(), depth=st.integers(0, 7))
def test_the_tail_wildcard_takes_at_least_one_token(parts: tuple[str, dict[str, str]], depth: int) -> None:
    found = build(parts[0], **parts[1]).split(".")
    assert matches(".".join(found), ".".join([*found[:depth], ">"])) is (depth < len(found))
    assert not matches(".".join(found), ".".join([*found, ">"]))
    assert matches(".".join(found), ".".join(found[:depth])) is (depth >= len(found)), "without it, every token counts"


# Mistakes of a caller


@given(parts=named(), data=st.data())
def test_a_subject_needs_every_field_and_has_no_other(parts: tuple[str, dict[str, str]], data: st.DataObject) -> None:
    signal, fields = parts
    missing = data.draw(st.sampled_from(FIELDS[signal]))
    with pytest.raises(ValueError, match=f"missing {missing}"):
        build(signal, **{field: value for field, value in fields.items() if field != missing})
    for make in (build, pattern):
        with pytest.raises(ValueError, match="it has no flavour"):
            make(signal, **fields, flavour="x")
        with pytest.raises(ValueError, match="expected a signal out of"):
            make("flavour", **fields)


NAMES = st.text(alphabet='a.:1,"\\{é', min_size=1, max_size=8)


@given(counts=st.dictionaries(NAMES, st.integers(0, 10**12), max_size=12), part_bytes=st.integers(1, 40))
@example(counts={'x":1,': 1, "y": 2}, part_bytes=1)
def test_the_servers_list_of_subjects_is_the_same_in_parts(counts: dict[str, int], part_bytes: int) -> None:
    with patch("kgents_shared.bus.subject_counts.PART_BYTES", part_bytes):
        parts = list(_parts(msgspec.json.encode(counts)))
    assert {subject: count for part in parts for subject, count in part.items()} == counts
    assert sum(map(len, parts)) == len(counts)


def test_a_long_list_of_subjects_comes_in_many_parts() -> None:
    counts = {f"kgents.entity.a.k8s.pod.shop.web-{number}": 1 for number in range(10_000)}
    assert len(list(_parts(msgspec.json.encode(counts)))) > 5
    assert list(_parts(b"null")) == [{}]
