"""`python -m accuracy DIR`: how well health-scorer finds what was injected on a labelled day, beside three others."""

import argparse
from pathlib import Path

from accuracy import contenders, judge, report
from accuracy.day import read
from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.checks.check import SeriesCheck


def main() -> None:
    """Print the figures of one day."""
    parser = argparse.ArgumentParser(prog="make accuracy", description=__doc__)
    parser.add_argument("folder", type=Path, help="a labelled day; see accuracy/day.py for its layout")
    parser.add_argument("--details", action="store_true", help="what was missed, and what was false")
    arguments = parser.parse_args()
    day = read(arguments.folder)
    alarms = {
        "always healthy": contenders.always_healthy(day),
        "mean of scores": contenders.average(day),
        "thresholds alone": contenders.scorer(day, [each for each in CATALOGUE if not isinstance(each, SeriesCheck)]),
        "health-scorer": contenders.scorer(day, CATALOGUE),
    }
    outcomes = {name: judge.outcome(day, each) for name, each in alarms.items()}
    print(f"{len(day.minutes):,} minutes of {len(day.pods)} services, {len(day.faults)} faults\n")
    print(report.table(outcomes))
    if arguments.details:
        print(f"\n{report.details(outcomes['health-scorer'])}")


main()
