"""The figures of one name at several sizes → a row of a table: how what we do grows with the number of entities."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from bench.figures import Figure, aligned, quantity

BARS: Final = "▁▂▃▄▅▆▇█"


def as_curves(figures: Sequence[Figure]) -> str:
    """A row for each figure that was measured at two sizes or more; empty if there is none.

    `growth` is the exponent between the smallest and the largest size: n^0 is the same at any size, n^1 in proportion
    to it. The bars are ours at each size, on a scale of their logarithms.
    """
    curves: dict[tuple[str, str], dict[int, Figure]] = defaultdict(dict)
    for each in figures:
        if each.size:
            curves[each.bench, each.name][each.size] = each
    curves = {key: by_size for key, by_size in curves.items() if len(by_size) > 1}
    if not curves:
        return ""
    sizes = sorted({size for by_size in curves.values() for size in by_size})
    rows = [("bench", "figure", *(f"{size:,}" for size in sizes), "target", "ours", "growth")]
    for (bench, name), by_size in curves.items():
        cells = [_cell(by_size.get(size)) for size in sizes]
        target = next(iter(by_size.values())).target
        rows.append(
            (bench, name, *cells, target, bars([by_size[size].ours for size in sorted(by_size)]), _growth(by_size))
        )
    return aligned(rows, right=range(2, 2 + len(sizes)))


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    found = quantity(figure.ours, figure.unit)
    return f"{found} {figure.mark}" if figure.ratio is None else f"{found}, {figure.shown} {figure.mark}"


def _growth(by_size: dict[int, Figure]) -> str:
    small, large = min(by_size), max(by_size)
    before, after = by_size[small].ours, by_size[large].ours
    if before <= 0 or after <= 0:
        return ""
    return f"n^{math.log(after / before) / math.log(large / small):.2f}".replace("n^-0.00", "n^0.00")


def bars(values: Sequence[float]) -> str:
    """One bar for each value; the highest one is full, a tenth of it three steps lower."""
    highest = max(values)
    if highest <= 0:
        return BARS[0] * len(values)
    steps = (round(math.log10(value / highest) * 3) if value > 0 else -len(BARS) for value in values)
    return "".join(BARS[max(0, len(BARS) - 1 + step)] for step in steps)
