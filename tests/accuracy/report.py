"""Outcomes → the table that `make accuracy` prints."""

from collections.abc import Mapping, Sequence
from statistics import median

from accuracy.judge import Outcome, Share
from bench.figures import aligned


def table(outcomes: Mapping[str, Outcome]) -> str:
    """One row for each contender and class of fault."""
    rows: list[tuple[str, ...]] = [
        ("contender", "faults", "found", "recall (95 %)", "time to detect (95 %)", "origin named")
    ]
    for name, outcome in outcomes.items():
        for kind, share in outcome.recall.items():
            origin = outcome.origin[kind]
            named = f"{origin.found}/{origin.total}"
            delay = _delay(outcome.delays_s[kind])
            rows.append((name, kind, f"{share.found}/{share.total}", _interval(share), delay, named))
    heads = ("contender", "incidents", "precision (95 %)", "outside holes (95 %)", "false minutes")
    totals: list[tuple[str, ...]] = [heads]
    for name, outcome in outcomes.items():
        totals.append(
            (
                name,
                f"{outcome.precision.total}",
                _interval(outcome.precision),
                _interval(outcome.precision_outside_holes),
                f"{outcome.false_minutes:,} of {outcome.minutes:,}",
            )
        )
    return f"{aligned(rows, right=(2, 5))}\n\n{aligned(totals, right=(1,))}"


def classes(outcome: Outcome) -> str:
    """Of each class, look-alikes among them, how many incidents begin in it, and how many of these are true."""
    rows: list[tuple[str, ...]] = [("active", "incidents", "true", "precision (95 %)")]
    for kind, share in sorted(outcome.by_class.items()):
        rows.append((kind, f"{share.total}", f"{share.found}", _interval(share)))
    return aligned(rows, right=(1, 2))


def details(outcome: Outcome) -> str:
    """What was missed, and what was false."""
    missed = [f"missed  {each.at:%H:%M} {each.what or f'{each.kind} in {each.service}'}" for each in outcome.missed]
    false = [f"false   {first.begin:%H:%M} {first.check} {first.text}" for first, *_ in outcome.false]
    return "\n".join([*missed, *false])


def _interval(share: Share) -> str:
    if not share.total:
        return "–"
    low, high = share.interval
    return f"{share.found / share.total:.0%} ({low:.0%}–{high:.0%})"


def _delay(delays_s: Sequence[float]) -> str:
    """The median, and the order statistics that hold it in 95 of 100 samples; of fewer than six, their range."""
    if not delays_s:
        return "–"
    half = 0.98 * len(delays_s) ** 0.5
    low, high = max(0, int(len(delays_s) / 2 - half)), min(len(delays_s) - 1, int(len(delays_s) / 2 + half))
    return f"{median(delays_s):.0f} s ({delays_s[low]:.0f}–{delays_s[high]:.0f})"
