"""Invariants of the Qdrant mapping, for any metrics."""

from hypothesis import given
from hypothesis import strategies as st

from kgents_collector_db.mapping.qdrant.exposition import Line, growth, parse, percentile, value

texts = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=20)
names = st.from_regex(r"[a-z_]{1,10}", fullmatch=True)
labels = st.dictionaries(names, texts, max_size=3)
numbers = st.floats(0, 1e12)


def written(line: Line) -> str:
    escaped = {name: text.replace("\\", r"\\").replace('"', r"\"") for name, text in line.labels.items()}
    body = ",".join(f'{name}="{text}"' for name, text in escaped.items())
    return f"{line.name}{{{body}}} {line.value}" if body else f"{line.name} {line.value}"


@given(st.text())
def test_any_text_is_read_without_a_fault(text: str) -> None:
    for line in parse(text):
        assert value([line], line.name) == line.value


@given(name=names, labels=labels, number=numbers)
def test_what_is_written_is_read_again(name: str, labels: dict[str, str], number: float) -> None:
    line = Line(name, labels, number)
    assert [each for each in parse(written(line)) if each.name == name] == [line]


@given(st.lists(numbers, min_size=1, max_size=5), st.lists(numbers, min_size=1, max_size=5))
def test_growth_is_never_negative(before: list[float], now: list[float]) -> None:
    old, new = ([Line("a", {"n": str(n)}, each) for n, each in enumerate(values)] for values in (before, now))
    grown = growth(old, new, "a")
    assert grown is None or all(each >= 0 for each in grown.values())


@given(counts=st.lists(st.integers(0, 1000), min_size=1, max_size=8), ranks=st.lists(st.floats(0.01, 1), min_size=2))
def test_percentiles_rise_with_their_rank_and_stay_within_the_buckets(counts: list[int], ranks: list[float]) -> None:
    cumulative = {2.0**place: float(sum(counts[: place + 1])) for place in range(len(counts))}
    found = [percentile({}, cumulative, sum(counts), rank) for rank in sorted(ranks)]
    known = [each for each in found if each is not None]
    assert known == sorted(known)
    assert all(0 <= each <= max(cumulative) for each in known)
