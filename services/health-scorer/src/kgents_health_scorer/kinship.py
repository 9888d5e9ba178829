"""One cause, one alert: a finding and what is known of related entities → how much it counts, and who alerts. Pure.

- What a pod and its containers have in common (they fail, wait, restart) is an alert of the pod.
- That a pod waits, or is not ready, is an alert of its workload if none of its pods is available: then it is down.
- A figure is an alert of the container that it is measured of, also when it is not known any more.
- What is unusual and beyond a threshold is one alert, as long as it is unusual.
- A failed run is an alert of its CronJob.
- One pod of several is never critical: its workload serves on. That none is ready is a finding of the workload.
"""

from typing import Final

from msgspec import structs

from kgents_health_scorer.checks.check import FigureCheck, Kin, SampleCheck, SeriesCheck
from kgents_health_scorer.checks.kubernetes import POD_NOT_READY as NOT_READY
from kgents_health_scorer.checks.status import FAILED, PENDING, UNKNOWN
from kgents_health_scorer.family import is_replicated
from kgents_health_scorer.score import Band, within
from kgents_health_scorer.verdict import Finding
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import kinds

_OF_PODS: Final = (kinds.POD, kinds.CONTAINER)


def related(finding: Finding, entity: TopologyEntity, kin: Kin) -> Finding:
    """The finding as it counts beside those of related entities."""
    kind = entity.ref.kind
    if kind in _OF_PODS and is_replicated(kin.controller):
        finding = _with_severity(finding, min(finding.reason.severity, within(Band.WARNING, 1.0)))
    return structs.replace(finding, is_covered=True) if _is_covered(finding, kind, kin) else finding


def restarted(others: list[Finding], restarts: list[Finding]) -> list[Finding]:
    """The findings of one entity, those of its restarts among them: that it has failed then has the same cause."""
    if not restarts or all(each.check.id != FAILED for each in others):
        return [*others, *restarts]
    others = [structs.replace(each, is_covered=True) if each.check.id == FAILED else each for each in others]
    fatal = max(each.reason.severity for each in others if each.check.id == FAILED)
    return [*others, *(_with_severity(each, max(fatal, each.reason.severity)) for each in restarts)]


def by_figure(findings: list[Finding]) -> list[Finding]:
    """The same, but that a figure is far above its usual has the alert for it, not that it is above a threshold too."""
    unusual = {each.check.figure for each in findings if isinstance(each.check, SeriesCheck) and not each.is_suspect}
    return [
        structs.replace(each, is_covered=True)
        if isinstance(each.check, SampleCheck) and each.check.figure in unusual
        else each
        for each in findings
    ]


def _with_severity(finding: Finding, severity: float) -> Finding:
    return structs.replace(finding, reason=structs.replace(finding.reason, severity=severity))


def _is_covered(finding: Finding, kind: str, kin: Kin) -> bool:
    match kind:
        case kinds.CONTAINER:
            return kin.pod is not None and not isinstance(finding.check, FigureCheck) and finding.check.id != UNKNOWN
        case kinds.POD:
            is_down = kin.controller is not None and kin.controller.status == "pending"
            return finding.check.id in kin.measured or (is_down and finding.check.id in (PENDING, NOT_READY))
        case kinds.JOB if kin.controller is not None:
            return True
        case _:
            return False
