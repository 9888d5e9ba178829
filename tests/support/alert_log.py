"""What subscribers of alerts see of a scorer over time: how often each alert fires and is resolved."""

from collections import Counter
from collections.abc import Iterable

from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health


class AlertLog:
    """The states of alerts, one after another."""

    def __init__(self) -> None:
        self._state: dict[tuple[Ref, str], str] = {}
        self.changes: list[tuple[float, Ref, str, str]] = []
        """When, of what, check, and `firing`, `resolved` or `gone`."""

    def note(self, at_s: float, messages: Iterable[Health | Alert]) -> None:
        """Take note of what was published."""
        for alert in messages:
            if not isinstance(alert, Alert):
                continue
            key, state = (alert.ref, alert.check), "gone" if alert.is_removal else alert.state
            if state != self._state.get(key) and not (state == "gone" and self._state.get(key) != "firing"):
                self.changes.append((at_s, *key, state))
            self._state[key] = state

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        """(check, state) → how often."""
        return Counter((check, state) for _, _, check, state in self.changes)

    def most_within(self, span_s: float) -> int:
        """The largest number of changes of one alert within a span."""
        by_key: dict[tuple[Ref, str], list[float]] = {}
        for at_s, ref, check, _ in self.changes:
            by_key.setdefault((ref, check), []).append(at_s)
        return max(
            (sum(begin <= other < begin + span_s for other in times) for times in by_key.values() for begin in times),
            default=0,
        )
