"""A recorded incident as a test: `replay(file)` → what the services make of it, without NATS.

    def test_the_incident_has_one_cause():
        incident = kgents.testing.replay("incident.kgrec")
        assert incident.origins == ["database/orders"]

It needs the kgents command (`kgents-cli`) beside this library, since the services' own code judges the recording. The
result depends on the file and that code alone: no server, no clock, the same each time.
"""

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import ALERT, HEALTH
from kgents_shared.contract.errors import ConfigError, RecordingError
from kgents_shared.contract.health import Root
from kgents_shared.contract.recording import Recording
from kgents_shared.view.entity import EntityView
from kgents_shared.view.find import one, path_of
from kgents_shared.view.fold import Fold
from kgents_shared.view.live import row_of
from kgents_shared.view.moment import duration_s
from kgents_shared.view.selection import Selection

__all__ = ["Incident", "RecordingError", "replay"]

GROUP: Final = "kgents.offline"

_Folded = Callable[..., Iterator[Delivery]]


class Incident:
    """What became of the recorded entities, until the moment asked for."""

    def __init__(self, messages: Iterable[Delivery]) -> None:
        self.alerts: list[Alert] = []
        """Every alert that fired, as it was when it began or became worse; in that order."""
        self.roots: list[Root] = []
        """Every entity that was named as the most probable origin, in the order in which it first was; each as it was
        when it explained most."""
        self._fold = Fold(Selection())
        self._firing: dict[str, str] = {}
        for each in messages:
            self._take(each)

    @property
    def entities(self) -> list[EntityView]:
        """All there is in the end, by name."""
        return sorted(self._fold.entities(), key=lambda each: each.ref)

    def get(self, name: str) -> EntityView:
        """One of them, by kind/namespace/name or a part of its name.

        Raises:
            NotFoundError: there is none of that name, or several.
        """
        found = {each.ref: each for each in self._fold.entities()}
        return found[one(name, found)]

    @property
    def fired(self) -> list[str]:
        """`critical KG-301 database/orders`, for each of `alerts`."""
        return [f"{each.severity} {each.check} {path_of(each.ref)}" for each in self.alerts]

    @property
    def firing(self) -> list[str]:
        """The same, of those that still fire in the end."""
        return [text for text in self._firing.values() if text]

    @property
    def origins(self) -> list[str]:
        """`database/orders`, for each of `roots`."""
        return [path_of(each.ref) for each in self.roots]

    def _take(self, each: Delivery) -> None:
        self._fold.put(row_of(each))
        signal = each.subject.split(".")[1]
        if signal == "alert":
            self._take_alert(ALERT.decode(each.payload))
        elif signal == "health" and (aggregate := HEALTH.decode(each.payload).aggregate) is not None:
            for root in aggregate.roots[:1]:
                self._take_root(root)

    def _take_root(self, root: Root) -> None:
        for place, known in enumerate(self.roots):
            if known.ref == root.ref:
                self.roots[place] = max(known, root, key=lambda each: each.explained)
                return
        self.roots.append(root)

    def _take_alert(self, alert: Alert) -> None:
        key = f"{alert.ref.cluster} {alert.dedup_key}"
        fires = alert.state == "firing" and not alert.is_removal
        text = f"{alert.severity} {alert.check} {path_of(alert.ref)}" if fires else ""
        if text and self._firing.get(key, "") != text:
            self.alerts.append(alert)
        self._firing[key] = text


def replay(file: str | Path, *, until: str | None = None) -> Incident:
    """What the services make of a recording of `kgents record`.

    Args:
        file: the recording.
        until: how long after its beginning to stop, such as `90s` or `2m`; None: at its end.

    Raises:
        RecordingError: it is no recording, was cut off, or is one of a newer version.
        ConfigError: the kgents command is not installed beside this library.
    """
    until_s = duration_s(until) if until is not None else None
    with Path(file).open("rb") as opened:
        recording = Recording(opened)
        return Incident(_judge()(recording.rows(), recording.header.started_at, until_s=until_s))


def _judge() -> _Folded:
    found = next(iter(entry_points(group=GROUP)), None)
    if found is None:
        raise ConfigError(["expected the kgents command beside the library, found none; try: pip install kgents-cli"])
    judge: _Folded = found.load()
    return judge
