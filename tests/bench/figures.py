"""What a benchmark found: a number of ours, mostly beside a bare client's → ratios → lines, a table, JSON."""

from collections.abc import Sequence
from typing import Literal

import msgspec

Unit = Literal["s", "µs", "ms", "/s", "B", "messages", "times"]


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number of ours; with `bare`, what counts is its ratio to a bare client's, measured in the same run.

    >>> run.report(Figure(bench=run.name, name="CPU an update", size=10_000, ours=12.0, bare=6.0, unit="µs", at_most=3))
    >>> run.report(Figure(bench=run.name, name="longest stall", size=10_000, ours=21.0, unit="ms", at_most=50))
    """

    bench: str
    name: str
    """The same at each size: the figures of one name make a curve."""
    ours: float
    unit: Unit
    bare: float | None = None
    """None: nothing bare does this; then the target is one for `ours` itself."""
    size: int = 0
    """Entities that were loaded; 0: it does not depend on them."""
    at_least: float | None = None
    """The target, where more is better."""
    at_most: float | None = None
    """The target, where less is better. Neither: for orientation only."""

    @property
    def ratio(self) -> float | None:
        """Ours to bare."""
        if self.bare is None:
            return None
        return self.ours / self.bare if self.bare else float("inf")

    @property
    def judged(self) -> float:
        """What is compared with the target."""
        return self.ours if self.ratio is None else self.ratio

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None when there is none."""
        if self.at_least is not None:
            return self.judged >= self.at_least
        if self.at_most is not None:
            return self.judged <= self.at_most
        return None

    @property
    def target(self) -> str:
        if self.at_least is None and self.at_most is None:
            return ""
        sign, target = ("≥", self.at_least) if self.at_least is not None else ("≤", self.at_most)
        assert target is not None
        return f"{sign} {target:g}" if self.bare is not None else f"{sign} {quantity(target, self.unit)}"

    @property
    def mark(self) -> str:
        return {True: "✔", False: "✘", None: " "}[self.is_met]

    @property
    def shown(self) -> str:
        """What is compared with the target, with its unit."""
        return quantity(self.ours, self.unit) if self.ratio is None else f"{self.ratio:.2f} ×"

    @property
    def line(self) -> str:
        """The figure in one line."""
        of_size = f" ({self.size:,} entities)" if self.size else ""
        target = f"target {self.target} {self.mark}" if self.target else "for orientation"
        found = quantity(self.ours, self.unit)
        if self.bare is not None:
            found = f"{self.shown} bare ({found} to {quantity(self.bare, self.unit)})"
        return f"{self.bench}: {self.name}{of_size}: {found}, {target}"


def missed(figures: Sequence[Figure]) -> list[Figure]:
    """Those that miss their target."""
    return [each for each in figures if each.is_met is False]


def as_table(figures: Sequence[Figure]) -> str:
    """All figures, one row each."""
    rows = [("bench", "figure", "entities", "ours", "bare", "ratio", "target", "")]
    for each in figures:
        size = f"{each.size:,}" if each.size else ""
        bare = "" if each.bare is None else quantity(each.bare, each.unit)
        ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
        rows.append((each.bench, each.name, size, quantity(each.ours, each.unit), bare, ratio, each.target, each.mark))
    return aligned(rows, right=(2, 3, 4, 5))


def aligned(rows: Sequence[Sequence[str]], *, right: Sequence[int]) -> str:
    """Rows of text in columns, the first one as a heading; `right`: the columns that are aligned there."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])


def as_json(figures: Sequence[Figure]) -> str:
    """All figures as a JSON array."""
    found = [
        {
            **msgspec.to_builtins(each),
            "ratio": None if each.ratio is None else round(each.ratio, 3),
            "met": each.is_met,
            "target": each.target,
        }
        for each in figures
    ]
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def quantity(value: float, unit: Unit) -> str:
    """A number with three significant digits and its unit."""
    number = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return f"{number}{unit}" if unit == "/s" else f"{number} {unit}"
