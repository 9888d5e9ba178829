"""Rows, windows, filters, cells and colours."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from kgents_cli.ui.cells import fitted, spark
from kgents_cli.ui.columns import ENTITIES, laid_out
from kgents_cli.ui.filter import passes
from kgents_cli.ui.item import Item
from kgents_cli.ui.orders import ORDERS, WORST
from kgents_cli.ui.palette import PALETTES, contrast
from kgents_cli.ui.window import Window
from kgents_shared.contract.entity import Ref

LEVELS = ("critical", "warning", "unknown", "healthy")


def item(name: str, level: str = "healthy", why: str = "") -> Item:
    ref, number = Ref("c", "pod", name, "shop"), name.removeprefix("n")
    created_at = datetime.fromtimestamp(int(number) % 7, UTC) if number.isdecimal() and int(number) % 5 else None
    return Item(f"c.pod.shop.{name}", ref, level, None, "running", why, created_at, "", False)


CHANGES = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from([*LEVELS, ""])).map(
        lambda each: (f"c.pod.shop.n{each[0]}", item(f"n{each[0]}", each[1]) if each[1] else None)
    ),
    max_size=12,
)
DEEDS = st.one_of(
    CHANGES.map(lambda each: ("put", each)),
    st.integers(-9, 9).map(lambda each: ("move", each)),
    st.integers(-9, 9).map(lambda each: ("scroll", each)),
    st.integers(1, 12).map(lambda each: ("resize", each)),
    st.sampled_from(["", "n1", "level:critical", "!n2"]).map(lambda each: ("filter", each)),
    st.just(("release", None)),
    st.sampled_from([*ORDERS.values()]).map(lambda each: ("reorder", each.of)),
)


@given(st.lists(DEEDS, max_size=30))
def test_rows_are_in_their_order_and_the_selection_stays_where_it_is(deeds: Sequence[tuple[str, object]]) -> None:
    window: Window[Item] = Window(lambda each: each.order)
    window.resize(6)
    model: dict[str, Item] = {}
    accepts, order = passes(""), WORST.of
    for name, value in deeds:
        key, line, was_chosen = window.key, window.line, window.is_chosen
        if name == "put":
            window.put(value)  # type: ignore[arg-type]
            for changed, now in value:  # type: ignore[attr-defined]
                model.pop(changed, None)
                model |= {changed: now} if now is not None else {}
            if was_chosen and key is not None and key in window.listing:
                assert window.key == key
                is_at_an_end = window.top in (0, max(0, len(window.listing) - window.height))
                assert line is None or window.line == line or is_at_an_end
        elif name == "filter":
            accepts = passes(str(value))
            window.filter(accepts)
        else:
            order = value if name == "reorder" else order  # type: ignore[assignment]
            getattr(window, name)(*([] if value is None else [value]))
        expected = sorted((each for each in model.values() if accepts(each)), key=order)
        assert [window.listing.at(row) for row in range(len(window.listing))] == expected
        assert (window.key or "") in window.listing if expected else window.key is None
        assert 0 <= window.top <= max(0, len(expected) - window.height)


@given(st.text(), st.integers(1, 40), st.booleans(), st.booleans())
def test_a_cell_is_exactly_as_wide_as_its_column_and_holds_nothing_that_a_terminal_obeys(
    text: str, width: int, is_ascii: bool, is_name: bool
) -> None:
    found = fitted(text, width, is_ascii=is_ascii, is_name=is_name)
    assert cell_len(found) == width
    assert found.isprintable()
    assert found.isascii() or not is_ascii
    assert fitted("cart-of-the-shop-7f9c-xk2lp", 15, is_name=True) == "cart-of…c-xk2lp"


@given(st.integers(17, 250))
def test_columns_fill_the_width_exactly(width: int) -> None:
    found = laid_out(ENTITIES, width)
    assert sum(size for _, size in found) + len(found) - 1 == width
    assert [column.heading for column, _ in laid_out(ENTITIES, 80)][:2] == ["HEALTH", "KIND"]


@pytest.mark.parametrize(
    ("text", "is_shown"),
    [
        ("", True), ("cart", True), ("CART shop", True), ("kind:pod", True), ("kind:pods", True), ("kind:po", True),
        ("kind:node", False), ("!cart", False), ("!node", True), ("ns:sho", True), ("level:crit", True),
        ("refused", True), ("x:y", False), ("cart node", False), ("!", False),
    ],
)  # fmt: skip
def test_a_filter_is_words_fields_and_what_must_not_be(text: str, is_shown: bool) -> None:
    assert passes(text)(item("cart", "critical", "connection refused")) is is_shown


def test_what_is_not_known_is_a_gap_in_the_line_of_a_figure_and_no_zero() -> None:
    assert spark([0, 1, None, 2], 10) == "▁▄ █" or spark([0, 1, None, 2], 10)[2] == " "
    assert spark([None, None], 10) == "  "
    assert spark([5, 5], 10)[0] == spark([5, 5], 10)[1]
    assert len(spark([1.0] * 50, 20)) == 20


@pytest.mark.parametrize("name", [name for name, each in PALETTES.items() if not each.is_plain])
def test_every_colour_can_be_read_on_every_background_of_its_theme(name: str) -> None:
    palette = PALETTES[name]
    for behind in (palette.background, palette.bar, palette.cursor):
        for colour in (palette.text, palette.dim, palette.accent, *palette.levels.values()):
            assert contrast(colour, behind) >= 4.5, (colour, behind)
