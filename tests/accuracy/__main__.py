"""`python -m accuracy PATH…`: how well health-scorer finds what was injected, beside three others.

A folder is a labelled day. A file is a recording of the shop (`accuracy/record.py`), of which DAYS days are made; by
their custom, thresholds are tuned on those of even seeds and reported on those of odd ones.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

from accuracy import contenders, judge, messages, recombined, recording, report
from accuracy.contenders import Judged
from accuracy.day import read
from accuracy.recording import Recording
from accuracy.replay import Replay
from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.checks.check import Check, SeriesCheck

DAYS: Final = 30
"""Of a recording: so many episodes of each kind."""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="make accuracy", description=__doc__)
    parser.add_argument("paths", type=Path, nargs="+", help="a labelled day (see accuracy/day.py), or a recording")
    parser.add_argument("--details", action="store_true", help="what was missed, and what was false")
    arguments = parser.parse_args()
    for path in arguments.paths:
        replays = [messages.replay(read(path))] if path.is_dir() else _days(path)
        print(f"{path.name}: {_described(replays)}\n")
        outcomes = {name: judge.total(_outcomes(replays, contender)) for name, contender in CONTENDERS.items()}
        print(f"{report.table(outcomes)}\n\n{report.classes(outcomes[OURS])}\n")
        if arguments.details:
            print(f"{report.details(outcomes[OURS])}\n")


def _days(file: Path) -> list[Replay]:
    whole = recording.read(file)
    found = recording.undisturbed(whole)
    (used, well), (all_used, all_well) = _sizes(found), _sizes(whole)
    print(
        f"{file.name}: {used} of {all_used} episodes and {well} of {all_well} windows without any are used; "
        "in the others the machine was busy with other work"
    )
    return [recombined.replay(found, seed) for seed in range(DAYS)]


def _sizes(found: Recording) -> tuple[int, int]:
    """Of how many episodes it is, and of how many windows without one."""
    episodes = {each.episode for each in found.windows if each.injected is not None}
    return len(episodes), sum(each.injected is None for each in found.windows)


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
