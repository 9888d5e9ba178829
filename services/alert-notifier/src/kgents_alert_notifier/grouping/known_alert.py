"""One alert as the grouping knows it, and all of them by the entity that they are about. Pure."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from msgspec import Struct

from kgents_alert_notifier.grouping.graph import key_of
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.vocabulary.explanations import Explanation, explanation_of

Rank = tuple[bool, bool, float, str]

FIRING: Final = "firing"
_NONE: Final[dict[str, "Known"]] = {}


class Known(Struct, gc=False, eq=False):
    """One alert. Its last message is all that counts, so that a restart changes nothing."""

    subject: str
    member: str
    """How an incident lists it: the `dedup_key` of health-scorer, computed from the subject."""
    entity: str
    """The key of its entity in the graph."""
    alert: Alert
    evidence: str
    """`<stream>:<sequence>` of its message."""
    started_s: float
    began_s: float
    """Since when what it reports is so: a check of an age fires only once its threshold has passed."""
    explanation: Explanation
    is_firing: bool = False
    """Whether what it reports is so now."""
    is_gone: bool = False
    """Whether its message has expired. It stays known as long as its incident is not resolved."""
    incident: str = ""
    """The incident that it is a member of; empty: none so far."""

    @property
    def breaks(self) -> bool:
        """Whether what needs its entity may fail because of it."""
        explanation = self.explanation
        return explanation.breaks or (explanation.breaks_if_critical and self.alert.severity == "critical")

    @property
    def rank(self) -> Rank:
        """Which of several is taken for the cause: what nothing explains, what is worse, what began first."""
        return bool(self.explanation.explained_by), self.alert.severity != "critical", self.started_s, self.subject


def known(alert: Alert, subject: str, evidence: str) -> Known:
    """An alert from its message; `evidence` names that."""
    member = hashlib.blake2b(subject.encode(), digest_size=8).hexdigest()
    started_s, explanation = _seconds(alert), explanation_of(alert.check)
    began_s, is_firing = _began_s(alert, started_s), alert.state == FIRING
    return Known(subject, member, key_of(subject), alert, evidence, started_s, began_s, explanation, is_firing)


def renew(before: Known, alert: Alert, evidence: str) -> None:
    """Take note of an alert's next message."""
    before.alert, before.evidence, before.started_s = alert, evidence, _seconds(alert)
    before.began_s = _began_s(alert, before.started_s)
    before.is_firing, before.is_gone = alert.state == FIRING, False


def _seconds(alert: Alert) -> float:
    return alert.started_at.timestamp() if alert.started_at is not None else 0.0


def _began_s(alert: Alert, started_s: float) -> float:
    if alert.unit == "s" and isinstance(threshold := alert.threshold, float):
        return started_s - threshold
    return started_s


class FiringAlerts:
    """The firing alerts, by entity."""

    def __init__(self) -> None:
        self._by_entity: dict[str, dict[str, Known]] = {}
        self.changes = 0
        """How often they have changed."""

    def put(self, alert: Known) -> None:
        """Note that it fires, or fires otherwise."""
        self.changes += 1
        self._by_entity.setdefault(alert.entity, {})[alert.subject] = alert

    def remove(self, alert: Known) -> None:
        """Note that it fires no more."""
        self.changes += 1
        of_entity = self._by_entity.get(alert.entity, _NONE)
        of_entity.pop(alert.subject, None)
        if not of_entity:
            self._by_entity.pop(alert.entity, None)

    def of(self, entities: Iterable[str]) -> Iterator[Known]:
        """Those of some entities."""
        for each in entities:
            yield from self._by_entity.get(each, _NONE).values()


def ended_at(alert: Alert, now: datetime) -> datetime:
    """When it ended, as far as that is known."""
    return alert.ended_at or now
