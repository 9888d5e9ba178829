"""What a benchmark found: pairs of numbers → ratios → lines, a table, JSON."""

from collections.abc import Sequence
from typing import Literal

import msgspec

Unit = Literal["s", "µs", "ms", "/s", "B", "messages"]


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One ratio of ours to a bare client's, measured in the same run."""

    bench: str
    name: str
    ours: float
    bare: float
    unit: Unit
    at_least: float | None = None
    """The target, where more is better."""
    at_most: float | None = None
    """The target, where less is better. Neither: for orientation only."""

    @property
    def ratio(self) -> float:
        return self.ours / self.bare if self.bare else float("inf")

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None when there is none."""
        if self.at_least is not None:
            return self.ratio >= self.at_least
        if self.at_most is not None:
            return self.ratio <= self.at_most
        return None

    @property
    def target(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return f"≤ {self.at_most:g}" if self.at_most is not None else ""

    @property
    def mark(self) -> str:
        return {True: "✔", False: "✘", None: " "}[self.is_met]

    @property
    def line(self) -> str:
        """The figure in one line."""
        target = f"target {self.target} {self.mark}" if self.target else "for orientation"
        return (
            f"{self.bench}: {self.name}: {self.ratio:.2f} × bare "
            f"({_quantity(self.ours, self.unit)} to {_quantity(self.bare, self.unit)}), {target}"
        )


def as_table(figures: Sequence[Figure]) -> str:
    """All figures, one row each."""
    rows = [("bench", "figure", "ours", "bare", "ratio", "target", "")]
    for each in figures:
        quantities = (_quantity(each.ours, each.unit), _quantity(each.bare, each.unit))
        rows.append((each.bench, each.name, *quantities, f"{each.ratio:.2f}", each.target, each.mark))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    aligned = [
        "  ".join(
            cell.rjust(width) if column in (2, 3, 4) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([aligned[0], "  ".join("─" * width for width in widths), *aligned[1:]])


def as_json(figures: Sequence[Figure]) -> str:
    """All figures as a JSON array."""
    found = [
        {**msgspec.to_builtins(each), "ratio": round(each.ratio, 3), "met": each.is_met, "target": each.target}
        for each in figures
    ]
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def _quantity(value: float, unit: Unit) -> str:
    """A number with three significant digits and its unit."""
    number = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return f"{number}{unit}" if unit == "/s" else f"{number} {unit}"
