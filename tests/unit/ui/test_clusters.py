"""Clusters differ by a sign and a colour that can be read."""

import pytest

from kgents_cli.ui.clusters import labels, marks
from kgents_cli.ui.palette import ASCII_MARKS, CLUSTERS, MARKS, PALETTES, Palette, contrast

COLOURED = [each for each in PALETTES.values() if not each.is_plain]


@pytest.mark.parametrize("palette", COLOURED, ids=lambda each: each.name)
def test_each_colour_of_a_cluster_can_be_read_on_every_background(palette: Palette) -> None:
    assert len(set(palette.clusters)) == len(CLUSTERS)
    for colour in palette.clusters:
        for behind in (palette.background, palette.bar, palette.cursor):
            assert contrast(colour, behind) >= 4.5, (colour, behind)


def test_signs_are_distinct_also_from_those_of_levels() -> None:
    for each in (MARKS, ASCII_MARKS):
        assert len(set(each.values())) == len(each)


def test_a_cluster_alone_has_the_mark_of_its_name_and_as_many_as_there_are_marks_differ() -> None:
    names = tuple(f"prod-{number}" for number in range(len(CLUSTERS)))
    assert len(set(marks(names).values())) == len(CLUSTERS)
    assert marks(names) == marks(names[::-1])
    assert marks((*names, "one-more")).keys() == {*names, "one-more"}
    assert marks(("prod",)) == marks(("prod",))


def test_of_long_names_what_differs_is_shown() -> None:
    names = ("eu", "gke_shop_europe-west1_blue", "gke_shop_europe-west1_green", "prod-1", "staging-of-the-shop")
    assert labels(names, 10) == {
        "eu": "eu",
        "gke_shop_europe-west1_blue": "…blue",
        "gke_shop_europe-west1_green": "…green",
        "prod-1": "prod-1",
        "staging-of-the-shop": "staging-of-the-shop",
    }
    fleet = [f"gke_shop_site-{number:02}-of-the-fleet" for number in range(40)]
    assert labels(tuple(fleet), 10)[fleet[7]] == "…07-of-the-fleet"
    assert labels(tuple(fleet), 24)[fleet[7]] == "…site-07-of-the-fleet"
