"""`python -m accuracy PATH…`: how well health-scorer finds what was injected, beside three others.

A folder is a labelled day. A file is a recording of the shop (`accuracy/record.py`), of which days are made. Thresholds
are tuned on those of even seeds, and what is reported is what they find in those of odd seeds.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from accuracy import contenders, judge, messages, recombined, recording, report
from accuracy.contenders import Judged
from accuracy.day import read
from accuracy.replay import Replay
from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.checks.check import Check, SeriesCheck


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="make accuracy", description=__doc__)
    parser.add_argument("paths", type=Path, nargs="+", help="a labelled day (see accuracy/day.py), or a recording")
    parser.add_argument("--details", action="store_true", help="what was missed, and what was false")
    arguments = parser.parse_args()
    for name, replays in _groups(arguments.paths):
        print(f"{name}: {_described(replays)}\n")
        outcomes = {name: judge.total(_outcomes(replays, contender)) for name, contender in CONTENDERS.items()}
        print(f"{report.table(outcomes)}\n\n{report.classes(outcomes[OURS])}\n")
        if arguments.details:
            print(f"{report.details(outcomes[OURS])}\n")


def _groups(paths: Iterable[Path]) -> Iterator[tuple[str, list[Replay]]]:
    """The days of each folder, and of all recordings of even and of odd seeds."""
    recordings = []
    for path in paths:
        if path.is_dir():
            yield path.name, [messages.replay(read(path))]
        else:
            recordings.append(recording.read(path))
    for name, odd in (("even seeds, tuned on", 0), ("odd seeds, held out", 1)):
        found = [each for each in recordings if each.seed % 2 == odd]
        for each in found:
            at_rest = sum(window.injected is None for window in each.windows)
            print(
                f"seed {each.seed}: {len(each.episodes)} episodes and {at_rest} windows of a shop at rest; "
                f"{each.disturbed} episodes were disturbed by other work on the machine, and are left out"
            )
        if found:
            yield name, [day for each in found for day in recombined.days(each)]


def _outcomes(replays: list[Replay], contender: Callable[[Replay], Judged]) -> list[judge.Outcome]:
    return [judge.outcome(replay, contender(replay)) for replay in replays]


def _described(replays: list[Replay]) -> str:
    minutes, faults = sum(len(each.moments) for each in replays), sum(len(each.faults) for each in replays)
    return f"{minutes:,} minutes of {len(replays[0].services)} services, {faults} faults"


def _is_absolute(check: Check) -> bool:
    return not isinstance(check, SeriesCheck) or check.usual is None


OURS: Final = "health-scorer"
CONTENDERS: Final[dict[str, Callable[[Replay], Judged]]] = {
    "always healthy": contenders.always_healthy,
    "mean of scores": contenders.average,
    "thresholds alone": lambda replay: contenders.scorer(replay, filter(_is_absolute, CATALOGUE)),
    OURS: lambda replay: contenders.scorer(replay, CATALOGUE),
}


if __name__ == "__main__":
    main()
