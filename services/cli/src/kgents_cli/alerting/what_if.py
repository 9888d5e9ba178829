"""`kgents alerts replay`: a recording and two configurations → the notifications that each would have sent."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from kgents_alert_notifier.config import Config
from kgents_alert_notifier.dry_run import DryRun, Notification
from kgents_cli.alerting.reading import SERVICE
from kgents_cli.alerting.remade import Track, clusters_of, published, remade
from kgents_cli.installed import service_names
from kgents_cli.options import Target, config_option, output_option
from kgents_cli.output import note, say, say_record
from kgents_cli.suggestion import did_you_mean
from kgents_cli.table import Cell, table
from kgents_health_scorer.config import Config as Scoring
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.contract.quantity import counted
from kgents_shared.contract.recording import MADE, Header, Recording, Row
from kgents_shared.contract.section import Section
from kgents_shared.runtime import config as configuration
from kgents_shared.view.moment import local_time
from kgents_topology_builder.config import Config as Building

_SECTIONS: Final[dict[str, type[Section]]] = {
    SERVICE: Config, "health-scorer": Scoring, "topology-builder": Building,
}  # fmt: skip
_SIGNS: Final = {"gone": "-", "new": "+", "moved": "~", "same": ""}
_COLOURS: Final = {"gone": "critical", "new": "healthy", "moved": "warning", "same": ""}
_HEADING = ("", "TIME", "RECEIVER", "WHY", "NOTIFICATION")


class Settings(msgspec.Struct, frozen=True):
    """What a dry run depends on."""

    notifying: Config
    scoring: Scoring
    building: Building


class Difference(msgspec.Struct, frozen=True):
    """One notification in the two dry runs."""

    change: str
    """`gone`: only the current configuration sends it; `new`: only the other one; `moved`: at another time; `same`."""
    notification: Notification
    before: datetime | None = None
    """When the current configuration sends it, of one that is moved."""


@click.command("replay")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--routes",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Compare with these settings: sections of a configuration, which override the current one.",
)
@click.option("--cluster", metavar="NAME", help="Only this cluster of the recording.")
@click.option("--all", "with_same", is_flag=True, help="Also what both send at the same time.")
@config_option
@output_option("table", "json")
def replay(
    file: Path, routes: Path | None, cluster: str | None, with_same: bool, config_file: Path | None, output: str
) -> None:
    """Say which notifications the configuration would have sent for FILE, a recording of `kgents record`.

    With --routes it is compared with other routes, receivers or thresholds. Nothing is sent, and no server is needed.
    Receivers count as always reachable, and no one as acknowledging or silencing anything. The alerts are those that
    were published; with other thresholds, and for a recording without alerts, they are made again, which takes longer.

    \b
    Examples:
      kgents alerts replay incident.kgrec --config kgents.yaml
      kgents alerts replay incident.kgrec --config kgents.yaml --routes new.yaml
      kgents alerts replay incident.kgrec --routes new.yaml -o json | jq .summary
    """  # noqa: D301
    target = Target({}, config_file, cluster)
    current = _settings(target, None)
    other = _settings(target, routes) if routes is not None else None
    header, rows = _read(file, cluster)
    before, after = _both(header, rows, current, other)
    differences = list(_differences(before.notifications, (after or before).notifications))
    if output == "json":
        _say_json(file, before, after, differences)
    else:
        _say_table(before, after, differences, with_same=with_same)
    if not current.notifying.all_receivers() and not (other and other.notifying.all_receivers()):
        note("the configuration names no receiver; name the one that the services use with --config")


class Sent(msgspec.Struct, frozen=True):
    """What one dry run came to."""

    notifications: list[Notification]
    incidents: int
    alerts: int


def _settings(target: Target, above: Path | None) -> Settings:
    _, own = configuration.load_all(
        _SECTIONS, path=target.config_file, above=above, environ=target.environ(), services=service_names()
    )
    notifying, scoring, building = own
    assert isinstance(notifying, Config)  # noqa: S101 - in the order of the sections
    assert isinstance(scoring, Scoring)  # noqa: S101
    assert isinstance(building, Building)  # noqa: S101
    return Settings(notifying, scoring, building)


def _read(file: Path, cluster: str | None) -> tuple[Header, list[Row]]:
    """What was recorded of one cluster, or of all.

    Raises:
        RecordingError: the file is none, or damaged.
        NotFoundError: it holds nothing of the cluster.
    """
    with file.open("rb") as opened:
        recording = Recording(opened)
        rows = list(recording.rows())
    if cluster is None:
        return recording.header, rows
    known = clusters_of(rows)
    if cluster not in known:
        raise NotFoundError(f"{file} holds nothing of the cluster {cluster}; {did_you_mean(cluster, sorted(known))}")
    return recording.header, [row for row in rows if clusters_of([row]) == {cluster}]


def _both(header: Header, rows: list[Row], current: Settings, other: Settings | None) -> tuple[Sent, Sent | None]:
    """The two dry runs, on the same alerts if both settings make the same ones."""
    at = header.started_at

    def made(by: Settings) -> dict[str, Track]:
        return remade(rows, at, by.scoring, by.building)

    if other is None or (current.scoring, current.building) == (other.scoring, other.building):
        tracks = published(rows, at) if set(MADE) <= set(header.made) else made(current)
        return _sent(tracks, current), _sent(tracks, other) if other is not None else None
    return _sent(made(current), current), _sent(made(other), other)


def _sent(clusters: dict[str, Track], settings: Settings) -> Sent:
    sent, incidents, alerts = list[Notification](), 0, 0
    for cluster, track in clusters.items():
        dry_run = DryRun(cluster, settings.notifying)
        for now, changed in track.moments():
            sent += dry_run.take(now, changed)
        incidents += dry_run.incidents
        alerts += dry_run.alerts
    return Sent(sorted(sent, key=lambda each: (each.at, each.receiver)), incidents, alerts)


def _differences(before: Sequence[Notification], after: Sequence[Notification]) -> Iterator[Difference]:
    """Each notification once, in the order of time."""
    waiting: dict[object, list[Notification]] = {}
    for each in before:
        waiting.setdefault(_key(each), []).append(each)
    found = []
    for each in after:
        if not (alike := waiting.get(_key(each))):
            found.append(Difference("new", each))
        elif (first := alike.pop(0)).at == each.at:
            found.append(Difference("same", each))
        else:
            found.append(Difference("moved", each, first.at))
    found += [Difference("gone", each) for rest in waiting.values() for each in rest]
    yield from sorted(found, key=lambda each: (each.notification.at, each.notification.receiver))


def _key(each: Notification) -> object:
    """What makes two of them the same: other settings may make another incident of the same cause."""
    return each.receiver, each.cause, each.status, each.why, each.incidents


def _say_table(before: Sent, after: Sent | None, differences: Sequence[Difference], *, with_same: bool) -> None:
    shown = [each for each in differences if with_same or after is None or each.change != "same"]
    if shown:
        for line in table(_HEADING, [_row(each) for each in shown]):
            say(line)
    if after is None:
        note(_worded(before))
        return
    note(f"current: {_worded(before)}")
    note(f"new:     {_worded(after)}")
    counts = Counter(each.change for each in differences)
    note(
        f"{counts['gone']} no longer (-), {counts['new']} more (+), {counts['moved']} at another time (~), "
        f"{counts['same']} the same"
    )


def _worded(sent: Sent) -> str:
    counts = Counter(each.receiver for each in sent.notifications)
    receivers = f" ({', '.join(f'{name} {count}' for name, count in sorted(counts.items()))})" if counts else ""
    parts = ((sent.alerts, "alert"), (sent.incidents, "incident"), (len(sent.notifications), "notification"))
    return ", ".join(counted(*part) for part in parts) + receivers


def _row(each: Difference) -> Sequence[str]:
    sent = each.notification
    was = f" (was {local_time(each.before)})" if each.before is not None else ""
    return (
        Cell(_SIGNS[each.change], _COLOURS[each.change]),
        local_time(sent.at),
        sent.receiver,
        sent.why,
        f"{sent.text}{was}",
    )


def _say_json(file: Path, before: Sent, after: Sent | None, differences: Sequence[Difference]) -> None:
    summary: dict[str, Any] = {"current": _summary(before)}
    if after is not None:
        summary["new"] = _summary(after)
        summary["differences"] = dict(Counter(each.change for each in differences))
    found = {"recording": str(file), "summary": summary, "notifications": differences}
    say_record(msgspec.json.format(msgspec.json.encode(found)))


def _summary(sent: Sent) -> dict[str, Any]:
    receivers = dict(sorted(Counter(each.receiver for each in sent.notifications).items()))
    return {
        "alerts": sent.alerts,
        "incidents": sent.incidents,
        "notifications": len(sent.notifications),
        "receivers": receivers,
    }
