"""Maintenance windows, silences for maintenance, and what a file states → when a disruption was planned. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Final

import msgspec

from kgents_alert_notifier.grouping.covering import MACHINES
from kgents_alert_notifier.grouping.silencing import is_silenced
from kgents_alert_notifier.routing.route import listed, matches
from kgents_alert_notifier.routing.window import MaintenanceConfig, WindowConfig, is_within
from kgents_cli.availability.machines import Placement, common, without
from kgents_cli.availability.spans import Window, microseconds, moment_of, union
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.silence import Silence

_STEP: Final = timedelta(minutes=1)
"""Windows begin and end at whole minutes."""


class Planned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A disruption that was planned, as a file states it. A field left out matches everything; `*` any characters."""

    begin: Annotated[datetime, msgspec.Meta(tz=True)]
    end: Annotated[datetime, msgspec.Meta(tz=True)]
    namespace: str = "*"
    kind: str = "*"
    name: str = "*"
    reason: str = ""


class Plan:
    """All that is planned within a window."""

    def __init__(
        self,
        window: Window,
        *,
        stated: Sequence[Planned] = (),
        silences: Sequence[Silence] = (),
        maintenance: Sequence[MaintenanceConfig] = (),
        windows: Mapping[str, WindowConfig] | None = None,
    ) -> None:
        self._placements: list[Placement] = []
        self._stated = stated
        self._silences = [each for each in silences if each.purpose == "maintenance"]
        known = windows or {}
        self._recurring = [
            (each, _occurrences(known[each.window], window)) for each in maintenance if each.window in known
        ]

    @property
    def of_machines(self) -> list[Window]:
        """When a maintenance of machines acts: one that names their kind. What runs there counts as of its begin."""
        found = [_window(each.begin, each.end) for each in self._stated if any(map(_names(each.kind), MACHINES))]
        found += [_window(each.starts_at, each.ends_at) for each in self._silences if _is_of_machines(each)]
        for each, occurrences in self._recurring:
            named = [kind for kind in listed(each.match.get("kind", [])) if not kind.startswith("!")]
            found += occurrences if any(map(_names(*named), MACHINES)) else []
        return sorted(set(found), key=lambda each: (each.start, each.end))

    def place(self, placement: Placement) -> None:
        """Take note of what ran where when one of `of_machines` began."""
        self._placements.append(placement)

    def of(self, ref: Ref, labels: Mapping[str, str], own_faults: Sequence[Window] = ()) -> list[Window]:
        """When a disruption of an entity was planned, itself or that of the machines on which it runs alone.

        What concerns one check only is none, and no machine explains `own_faults`.
        """
        return union([*self._own(ref, labels), *without(self._hosted(ref), own_faults)])

    def _hosted(self, ref: Ref) -> list[Window]:
        found: list[Window] = []
        for each in self._placements:
            machines = each.machines_of(ref) if each.cluster == ref.cluster and ref.kind not in MACHINES else ()
            if machines:
                windows = (self._own(machine, each.machines.get(machine, {})) for machine in machines)
                found += common(each.of, windows)
        return found

    def _own(self, ref: Ref, labels: Mapping[str, str]) -> list[Window]:
        facts = {"namespace": ref.namespace, "kind": ref.kind, "name": ref.name, "cluster": ref.cluster}
        facts |= {f"label.{key}": value for key, value in labels.items()}
        found = [_window(each.begin, each.end) for each in self._stated if _takes(each, ref)]
        found += [
            _window(each.starts_at, each.ends_at)
            for each in self._silences
            if each.cluster == ref.cluster and is_silenced(each, facts)
        ]
        for each, occurrences in self._recurring:
            if matches(each.match, facts):
                found += occurrences
        return union(found)


def _takes(each: Planned, ref: Ref) -> bool:
    pairs = ((ref.namespace, each.namespace), (ref.kind, each.kind), (ref.name, each.name))
    return all(fnmatchcase(value, pattern) for value, pattern in pairs)


def _is_of_machines(silence: Silence) -> bool:
    named = [each.value for each in silence.matchers if each.field == "kind" and not each.is_negated]
    return any(map(_names(*named), MACHINES))


def _names(*patterns: str) -> Callable[[str], bool]:
    """Whether one of some patterns names a kind, rather than any."""
    return lambda kind: any(each != "*" and fnmatchcase(kind, each) for each in patterns)


def _window(begin: datetime, end: datetime) -> Window:
    return Window(microseconds(begin), microseconds(end))


def _occurrences(config: WindowConfig, window: Window) -> list[Window]:
    at = moment_of(window.start).astimezone(UTC).replace(second=0, microsecond=0)
    until, found = moment_of(window.end), list[Window]()
    while at < until:
        if is_within(config, at):
            found.append(_window(at, at + _STEP))
        at += _STEP
    return union(found)
