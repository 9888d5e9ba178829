"""Silences and maintenance windows → whether an alert notifies no one now. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from kgents_alert_notifier.routing.route import fits, listed, matches
from kgents_alert_notifier.routing.window import MaintenanceConfig, WindowConfig, is_within
from kgents_shared.contract import subjects
from kgents_shared.contract.silence import FIELDS, Matcher, Silence

Facts = Mapping[str, str]
"""What is known of an alert and its entity: `namespace`, `check`, `label.team`, …"""
KEPT: Final = timedelta(hours=1)
"""How long a silence that is over is remembered: longer than its message, which may end without a word."""
_LABEL: Final = "label."


class Silencing:
    """The silences of one cluster."""

    def __init__(self, maintenance: Sequence[MaintenanceConfig], windows: Mapping[str, WindowConfig]) -> None:
        self._silences: dict[str, Silence] = {}
        self._maintenance = maintenance
        self._windows = windows
        self._active: tuple[str, ...] = ()

    def put(self, subject: str, silence: Silence | None) -> None:
        """Take note of a silence, of who ended it, or that its message has expired (None)."""
        if silence is None:
            self._silences.pop(subject, None)
        else:
            self._silences[subject] = silence
        if silence is None or silence.is_removal:
            self._active = tuple(each for each in self._active if each != subject)

    def last(self, cluster: str, id_: str) -> Silence | None:
        """A silence as it was decided last, also that it was ended; None: it is of the configuration, or long over."""
        return self._silences.get(subjects.build("silence", cluster=cluster, silence=id_))

    def planned(self, id_: str) -> MaintenanceConfig | None:
        """The maintenance of the configuration that `of` names so; None: it is none."""
        return next((each for place, each in enumerate(self._maintenance) if _name(place) == id_), None)

    def acts(self, cluster: str, id_: str) -> bool:
        """Whether a silence, or a maintenance, acts now."""
        active = {_name(int(each)) if each.isdecimal() else each for each in self._active}
        return id_ in active or subjects.build("silence", cluster=cluster, silence=id_) in active

    def is_changed(self, now: datetime) -> bool:
        """Whether other silences act now than when this was last asked."""
        self._silences = {name: each for name, each in self._silences.items() if now < each.ends_at + KEPT}
        active = tuple(self._acting(now))
        is_changed, self._active = active != self._active, active
        return is_changed

    @property
    def is_any(self) -> bool:
        """Whether any silence acts."""
        return bool(self._active)

    def of(self, facts: Facts) -> str:
        """A silence that acts on an alert now: its id; empty: none does."""
        for name in self._active:
            silence = self._silences.get(name)
            if silence is not None:
                if is_silenced(silence, facts):
                    return silence.id
            elif matches(self._maintenance[int(name)].match, facts):
                return _name(int(name))
        return ""

    @property
    def is_of_machines(self) -> bool:
        """Whether a maintenance acts that names a kind: it may be one of machines."""
        return any(self._names_a_kind(each) for each in self._active)

    def of_machine(self, facts: Facts) -> str:
        """A maintenance that acts on a machine, whatever its alerts: its id; empty: none does."""
        for name in filter(self._names_a_kind, self._active):
            silence = self._silences.get(name)
            if silence is not None and is_silenced(silence, facts):
                return silence.id
            if silence is None and matches(self._maintenance[int(name)].match, facts):
                return _name(int(name))
        return ""

    def _names_a_kind(self, name: str) -> bool:
        """Whether it is a maintenance of entities of a kind, rather than of anything, or of all but a kind."""
        silence = self._silences.get(name)
        if silence is None:
            kinds = listed(self._maintenance[int(name)].match.get("kind", []))
            return any(not each.startswith("!") for each in kinds)
        is_named = any(each.field == "kind" and not each.is_negated for each in silence.matchers)
        return is_named and silence.purpose == "maintenance"

    def _acting(self, now: datetime) -> Iterable[str]:
        for subject, silence in self._silences.items():
            if not silence.is_removal and silence.starts_at <= now < silence.ends_at:
                yield subject
        for place, each in enumerate(self._maintenance):
            if not each.window or is_within(self._windows[each.window], now):
                yield str(place)


def _name(place: int) -> str:
    return f"maintenance[{place}]"


def is_silenced(silence: Silence, facts: Facts) -> bool:
    """Whether all matchers of a silence hold; one without any holds for nothing."""
    return bool(silence.matchers) and all(_holds(each, facts) for each in silence.matchers)


def _holds(matcher: Matcher, facts: Facts) -> bool:
    is_known = matcher.field in FIELDS or matcher.field.startswith(_LABEL)
    return is_known and fits(facts.get(matcher.field, ""), matcher.value) != matcher.is_negated
