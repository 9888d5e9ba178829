"""Laws of availability: parts add up to the whole, adjoining windows to their union; unknown is no credit."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kgents_cli.availability.spans import STATES, Level, Span, Times, Window, overlaid, spans, times, union

AT = st.integers(-50, 50)
OBSERVED = ("healthy", "warning", "critical")


@st.composite
def histories(draw: st.DrawFn) -> list[Level]:
    found = []
    for at in sorted(draw(st.sets(AT, max_size=8))):
        level = draw(st.sampled_from([*OBSERVED, "unknown", "of a newer version", None]))
        since = draw(st.none() | st.integers(-60, at))
        found.append(Level(at, level, since))
    return found


@st.composite
def windows(draw: st.DrawFn) -> Window:
    start, end = sorted((draw(AT), draw(AT)))
    return Window(start, end)


@given(histories(), windows(), AT)
def test_the_spans_cover_the_window_end_to_end(levels: list[Level], window: Window, known_from: int) -> None:
    found = spans(levels, window, known_from=known_from)
    assert times(found).total == window.length
    edges = [window.start, *(each.window.end for each in found)]
    assert [each.window.start for each in found] == edges[:-1]
    assert not found or edges[-1] == window.end


@given(histories(), AT, AT, AT, AT)
def test_adjoining_windows_add_up_to_their_union(levels: list[Level], a: int, b: int, c: int, known_from: int) -> None:
    start, middle, end = sorted((a, b, c))

    def of(begin: int, until: int) -> Times:
        return times(spans(levels, Window(begin, until), known_from=known_from))

    assert of(start, middle) + of(middle, end) == of(start, end)


@given(histories(), windows(), AT, st.lists(windows(), max_size=5), st.sets(st.sampled_from(STATES)))
def test_an_overlay_moves_time_and_makes_none(
    levels: list[Level], window: Window, known_from: int, laid: list[Window], over: set[str]
) -> None:
    base = spans(levels, window, known_from=known_from)
    found = times(overlaid(base, laid, "planned", over=over))  # type: ignore[arg-type]  # of STATES
    before = times(base)
    assert found.total == before.total
    for state in STATES:
        if state != "planned":
            assert getattr(found, state) <= getattr(before, state)
            assert state in over or getattr(found, state) == getattr(before, state)
    moved = sum(each.length for part in base if part.state in over - {"planned"} for each in _within(laid, part.window))
    assert found.planned == before.planned + moved


def _within(laid: list[Window], window: Window) -> list[Window]:
    return [part for each in union(laid) if (part := each.common(window)) is not None]


@given(histories(), windows(), AT, AT)
def test_to_know_less_never_adds_observed_time(levels: list[Level], window: Window, one: int, other: int) -> None:
    less, more = (times(spans(levels, window, known_from=each)) for each in (max(one, other), min(one, other)))
    assert less.observed == more.observed
    assert less.unknown >= more.unknown


@given(histories(), windows())
def test_an_instant_has_the_state_of_the_last_version(levels: list[Level], window: Window) -> None:
    for each in spans(levels, window, known_from=-(2**62)):
        for at in range(each.window.start, each.window.end):
            before = [level for level in levels if level.at <= at]
            if before:
                level = before[-1].level
                expected = "absent" if level is None else level if level in OBSERVED else "unknown"
            else:
                first = levels[0] if levels else None
                reaches = first is not None and first.since is not None and first.since <= at
                if first is not None and first.level is None:
                    expected = "unknown"
                elif first is not None and first.level is not None and reaches:
                    expected = first.level if first.level in OBSERVED else "unknown"
                else:
                    expected = "absent"
            assert each.state == expected


def test_nothing_observed_is_no_availability() -> None:
    found = times([Span(Window(0, 5), "unknown"), Span(Window(5, 9), "planned")])
    assert (found.available, found.observed) == (None, 0)
    assert times([Span(Window(0, 9), "warning"), Span(Window(9, 10), "critical")]).available == 0.9


@given(st.lists(windows(), max_size=6))
def test_a_union_covers_each_instant_once(laid: list[Window]) -> None:
    joined = union(laid)
    instants = {at for each in laid for at in range(each.start, each.end)}
    assert sum(each.length for each in joined) == len(instants)
    assert all(one.end < other.start for one, other in pairwise(joined))
