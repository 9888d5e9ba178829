"""What was published before a restart → the memory of an entity: `reducer.py` → here → `scored_entity.py`. Pure."""

from kgents_health_scorer.checks.status import SILENT, UNKNOWN
from kgents_health_scorer.debounce import Window
from kgents_health_scorer.score import Band, band_of
from kgents_health_scorer.scored_entity import ScoredEntity
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.health import Reason


def remember_reason(scored: ScoredEntity, reason: Reason) -> None:
    """Go on from what was found of an entity."""
    if reason.check == SILENT:
        for source in str(reason.value).split(", "):
            scored.remember_silence(source, reason.evidence)
    elif reason.check == UNKNOWN:
        scored.remember_unknown(reason.unknown)
    elif isinstance(reason.value, float) and scored.is_so(reason.check):
        window = Window(reason.value, band=band_of(reason.severity), evidence=reason.evidence)
        scored.remember_window(reason.check, window, edge=reason.edge, text=reason.text)


def window_of(alert: Alert, value: float) -> Window:
    """What the figure of an alert had passed."""
    if alert.state == "pending":
        return Window(value, is_suspect=True, evidence=alert.evidence)
    band = Band.CRITICAL if alert.severity == "critical" else Band.WARNING
    return Window(value, band=band, evidence=alert.evidence)
