"""A folder with one day of measured minutes and its labelled faults → `Day`. The layout is that of the data set Nezha.

`<pod>_metric.csv` has a row for each minute and pod, `source_50.csv` and `destination_50.csv` the median latency of
each pair of caller and callee in seconds, as the caller and as the callee measured it, `front_service.csv` that of the
users' requests; `*fault_list.json` says what was injected, where and when. Of times only those in UTC text are read:
the numbers beside them are wrong, of a quarter of the faults and of one service.
"""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from accuracy.replay import Fault, service_of


class Use(Struct, frozen=True):
    """What one pod used in one minute. None: not measured."""

    pod: str
    cpu_percent: float | None
    cpu_limit_percent: float | None
    memory_bytes: float | None
    memory_limit_bytes: float | None
    requests_per_s: float | None


class Call(Struct, frozen=True):
    """The median latency of one service's calls to another in one minute, in seconds."""

    caller: str
    callee: str
    client_s: float | None
    server_s: float | None


class Minute(Struct, frozen=True):
    """All that was measured in one minute."""

    at: datetime
    uses: list[Use]
    calls: list[Call]
    front_s: float | None
    """Median latency of the users' requests."""


class Day(Struct, frozen=True):
    """A day and its faults, both in order."""

    minutes: list[Minute]
    faults: list[Fault]

    @property
    def pods(self) -> list[str]:
        return sorted({use.pod for minute in self.minutes for use in minute.uses})


def read(folder: Path) -> Day:
    """Read one day.

    Raises:
        ValueError: the folder holds no such day.
    """
    files = sorted(folder.glob("*_metric.csv"))
    labels = sorted(folder.glob("*fault_list.json"))
    if not files or len(labels) != 1:
        raise ValueError(f"expected *_metric.csv and one *fault_list.json in {folder}, found {len(files)} and {labels}")
    uses: dict[datetime, list[Use]] = {}
    for file in files:
        for row in _rows(file):
            uses.setdefault(_minute(row["Time"]), []).append(_use(row))
    sides = [_by_minute(folder / f"{side}_50.csv", "time") for side in ("source", "destination")]
    front = _by_minute(folder / "front_service.csv", "Time")
    return Day([_measured(at, uses[at], sides, front) for at in sorted(uses)], _faults(labels[0]))


def _measured(
    at: datetime,
    uses: list[Use],
    sides: list[dict[datetime, dict[str, str]]],
    front: Mapping[datetime, Mapping[str, str]],
) -> Minute:
    client, server = (side.get(at, {}) for side in sides)
    pairs = (pair for pair in client if pair not in ("time", "timestamp"))
    calls = [_call(pair, _number(client, pair), _number(server, pair)) for pair in pairs]
    return Minute(at, uses, calls, _number(front.get(at, {}), "LatencyP50(s)"))


def _call(pair: str, client_s: float | None, server_s: float | None) -> Call:
    caller, callee = pair.split("_")
    return Call(caller, callee, client_s, server_s)


def _use(row: Mapping[str, str]) -> Use:
    cpu, memory = _number(row, "CpuUsage(m)"), _number(row, "MemoryUsage(Mi)", 2**20)
    cpu_share, memory_share = _number(row, "CpuUsageRate(%)", 0.01), _number(row, "MemoryUsageRate(%)", 0.01)
    return Use(
        row["PodName"],
        cpu,  # of one core, in spite of its name: the limits of these pods give 300m where this gives 30
        cpu / cpu_share if cpu and cpu_share else None,
        memory,
        memory / memory_share if memory and memory_share else None,
        _number(row, "PodWorkload(Ops)"),
    )


def _faults(file: Path) -> list[Fault]:
    hours = json.loads(file.read_text(encoding="utf-8")).values()
    labelled = (each for hour in hours for each in hour)
    return sorted(_fault(each) for each in labelled)


def _fault(label: Mapping[str, str]) -> Fault:
    return Fault(_time(label["inject_time"]), label["inject_type"], service_of(label["inject_pod"]))


def _by_minute(file: Path, column: str) -> dict[datetime, dict[str, str]]:
    return {_minute(row[column]): row for row in _rows(file)}


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def _number(row: Mapping[str, str], column: str, unit: float = 1.0) -> float | None:
    try:
        value = float(row[column]) * unit
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _time(text: str) -> datetime:
    return datetime.strptime(text[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def _minute(text: str) -> datetime:
    return _time(text).replace(second=0)
