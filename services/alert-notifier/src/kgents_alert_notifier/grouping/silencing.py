"""Silences and maintenance windows → whether an alert notifies no one now. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

from kgents_alert_notifier.routing.route import matches
from kgents_alert_notifier.routing.window import MaintenanceConfig, WindowConfig, is_within
from kgents_shared.contract.silence import FIELDS, Matcher, Silence

Facts = Mapping[str, str]
"""What is known of an alert and its entity: `namespace`, `check`, `label.team`, …"""
_LABEL: Final = "label."


class Silencing:
    """The silences of one cluster."""

    def __init__(self, maintenance: Sequence[MaintenanceConfig], windows: Mapping[str, WindowConfig]) -> None:
        self._silences: dict[str, Silence] = {}
        self._maintenance = maintenance
        self._windows = windows
        self._active: tuple[str, ...] = ()

    def put(self, subject: str, silence: Silence | None) -> None:
        """Take note of a silence, or of its end."""
        if silence is None:
            self._silences.pop(subject, None)
            self._active = tuple(each for each in self._active if each != subject)
        else:
            self._silences[subject] = silence

    def is_changed(self, now: datetime) -> bool:
        """Whether other silences act now than when this was last asked."""
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
                return f"maintenance[{name}]"
        return ""

    def _acting(self, now: datetime) -> Iterable[str]:
        yield from (subject for subject, each in self._silences.items() if each.starts_at <= now < each.ends_at)
        for place, each in enumerate(self._maintenance):
            if not each.window or is_within(self._windows[each.window], now):
                yield str(place)


def is_silenced(silence: Silence, facts: Facts) -> bool:
    """Whether all matchers of a silence hold; one without any holds for nothing."""
    return bool(silence.matchers) and all(_holds(each, facts) for each in silence.matchers)


def _holds(matcher: Matcher, facts: Facts) -> bool:
    is_known = matcher.field in FIELDS or matcher.field.startswith(_LABEL)
    return is_known and fnmatchcase(facts.get(matcher.field, ""), matcher.value) != matcher.is_negated
