"""A verdict → what the streams should hold of an entity: its health, and its alerts. Pure."""

from kgents_health_scorer.alerts import expiry, next_alert, removal
from kgents_health_scorer.scored_entity import ScoredEntity
from kgents_health_scorer.sentences import of_health
from kgents_health_scorer.verdict import Verdict
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.health import Health
from kgents_shared.contract.topology import TopologyEntity


def health_of(scored: ScoredEntity, entity: TopologyEntity, verdict: Verdict) -> Health:
    """The health of an entity; its level and since when are brought up to date."""
    if verdict.level != scored.level:
        scored.level = verdict.level
        scored.since = scored.now
    return Health(
        text=of_health(entity, verdict.level, verdict.reasons, verdict.learning),
        ref=scored.ref,
        score=verdict.score,
        level=verdict.level,
        reasons=verdict.reasons,
        evaluated=verdict.evaluated,
        applicable=verdict.applicable,
        since=scored.since,
        uid=entity.uid,
        observed=scored.observed(entity),
        recurrences=[*scored.history.recurrences.values()],
        baselines=scored.baselines(),
        learning=verdict.learning,
    )


def alerts_of(scored: ScoredEntity, verdict: Verdict) -> list[Alert]:
    """What has become of the entity's alerts; `scored.alerts` is brought up to date."""
    findings = {each.check.id: each for each in verdict.findings if each.check.alerts and not each.is_covered}
    messages = []
    for check_id in {**scored.alerts, **findings}:
        before = scored.alerts.get(check_id)
        after = next_alert(scored.ref, findings.get(check_id), before, scored.now)
        if after is None and before is not None:
            del scored.alerts[check_id]
            messages.append(removal(before))
        elif after is not None and after is not before:
            scored.alerts[check_id] = after
            messages.append(after)
    scored.expect([end for alert in scored.alerts.values() if (end := expiry(alert)) is not None])
    return messages
