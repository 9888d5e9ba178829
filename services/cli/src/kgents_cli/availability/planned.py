"""Maintenance windows, silences for maintenance, and what a file states → when a disruption was planned. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Final

import msgspec

from kgents_alert_notifier.grouping.silencing import is_silenced
from kgents_alert_notifier.routing.route import matches
from kgents_alert_notifier.routing.window import MaintenanceConfig, WindowConfig, is_within
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
        self._stated = stated
        self._silences = [each for each in silences if each.purpose == "maintenance"]
        known = windows or {}
        self._recurring = [
            (each, _occurrences(known[each.window], window)) for each in maintenance if each.window in known
        ]

    def of(self, ref: Ref, labels: Mapping[str, str]) -> list[Window]:
        """When a disruption of an entity was planned. What concerns one check only is none."""
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
