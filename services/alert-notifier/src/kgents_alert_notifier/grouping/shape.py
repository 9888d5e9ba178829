"""The alerts of one incident → what is published of it: title, affected entities, reasons, timeline. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import Final

from msgspec import structs

from kgents_alert_notifier.grouping.known_alert import Known
from kgents_shared.contract.incident import (
    AFFECTED_MAX,
    REASONS_MAX,
    TIMELINE_MAX,
    Affected,
    Incident,
    IncidentReason,
    Moment,
    Root,
)

FIRST_MOMENTS: Final = 10
"""Entries of the timeline that stay when it is full: how it began."""
LABELS_MAX: Final = 32
KINDS_SHOWN: Final = 4
_WORST: Final = itemgetter(0, 1, 2)
WORD: Final = {"open": "Open", "acknowledged": "Acknowledged", "resolved": "Resolved"}


def title(root: Known) -> str:
    """What is wrong, from the alert of the root."""
    return root.alert.text.rstrip(".")


def why(root: Known, members: Collection[Known]) -> str:
    """Why an alert is taken for the cause of the others, in one sentence."""
    others = len(members) - 1
    if not others:
        return "no other alert explains it"
    return f"nothing explains it, and it explains {others} of {_counted(len(members), 'alert')}"


def root_of(root: Known, members: Collection[Known]) -> Root:
    """The root as it is published."""
    return Root(ref=root.alert.ref, check=root.alert.check, why=why(root, members))


def affected(firing: Iterable[Known]) -> list[Affected]:
    """Each entity that has an alert, the worst first."""
    by_entity: dict[str, list[Known]] = {}
    for each in firing:
        by_entity.setdefault(each.entity, []).append(each)
    found = []
    for entity, alerts in by_entity.items():
        if len(alerts) == 1:  # as most
            [each] = alerts
            found.append((each.alert.severity != "critical", each.started_s, entity, [each.alert.check], each))
            continue
        is_critical = any(each.alert.severity == "critical" for each in alerts)
        checks = sorted({each.alert.check for each in alerts})
        found.append((not is_critical, min(each.started_s for each in alerts), entity, checks, alerts[0]))
    found.sort(key=_WORST)
    return [
        Affected(ref=alert.alert.ref, severity="warning" if is_mild else "critical", checks=checks)
        for is_mild, _, _, checks, alert in found
    ]


def with_affected(incident: Incident, entities: Sequence[Affected]) -> Incident:
    """The incident with what is affected now."""
    return structs.replace(
        incident,
        affected=list(entities[:AFFECTED_MAX]),
        affected_count=len(entities),
        affected_by_kind=dict(sorted(Counter(each.ref.kind for each in entities).items())),
    )


def reasons(root: Known | None, firing: Iterable[Known]) -> list[IncidentReason]:
    """The alerts that show it best: the root's own, then the likeliest causes, of different checks if there are any."""
    ordered = sorted((each for each in firing if each is not root), key=lambda each: each.rank)
    first: dict[str, Known] = {}
    for each in ordered:
        first.setdefault(each.alert.check, each)
    others = [*first.values(), *(each for each in ordered if each is not first[each.alert.check])]
    chosen = [*([root] if root is not None else []), *others][:REASONS_MAX]
    return [
        IncidentReason(text=each.alert.text, ref=each.alert.ref, check=each.alert.check, evidence=each.evidence)
        for each in chosen
    ]


def with_moment(timeline: Sequence[Moment], moment: Moment) -> list[Moment]:
    """The timeline with one more entry; of a full one, the first and the latest stay."""
    found = [*timeline, moment]
    if len(found) > TIMELINE_MAX:
        found = [*found[:FIRST_MOMENTS], *found[FIRST_MOMENTS + 1 :]]
    return found


def labels(found: dict[str, str]) -> dict[str, str]:
    """As many labels of the root as an incident carries."""
    return dict(sorted(found.items())[:LABELS_MAX])


def sentence(incident: Incident) -> str:
    """Its `text`."""
    parts = [f"{WORD[incident.state]}: {incident.title}"]
    if incident.state == "resolved" and incident.ended_at is not None:
        parts.append(f"it lasted {duration(incident.ended_at - incident.started_at)}")
    elif incident.affected_count > 1:
        shown = list(incident.affected_by_kind.items())
        kinds = ", ".join(_counted(count, kind) for kind, count in shown[:KINDS_SHOWN])
        more = ", …" if len(shown) > KINDS_SHOWN else ""
        parts.append(f"{incident.affected_count} entities are affected ({kinds}{more})")
    if incident.is_flapping:
        parts.append(f"flapping: it fired again {_counted(incident.flaps, 'time')}")
    if incident.acknowledged is not None and incident.state == "acknowledged":
        parts.append(f"{incident.acknowledged.by} takes care of it")
    return "; ".join(parts) + "."


def duration(lasted: timedelta) -> str:
    """`45 s`, `9 min 15 s`, `3 h 4 min`, `2 d 3 h`."""
    seconds = max(0, int(lasted.total_seconds()))
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    for place, (unit, size) in enumerate(units):
        if seconds >= size:
            rest = seconds % size
            below = units[place + 1] if place + 1 < len(units) else None
            more = f" {rest // below[1]} {below[0]}" if below is not None and rest >= below[1] else ""
            return f"{seconds // size} {unit}{more}"
    return "0 s"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
