"""The pipeline seen from outside, and the catalogue of checks → alert rules of Prometheus.

What is dead reports nothing: those rules are about what is absent. A check has a rule of its own, so that its page of
the runbook is linked and it can be routed and silenced by name; health-scorer has already judged how long it lasts.
"""

from collections.abc import Iterator
from typing import Any, Final

import yaml

from kgents_health_scorer.checks.check import Check
from observability.panels import NAMED
from reference.runbook import CHECKS

RUNBOOK: Final = "https://example.com/kgents/runbook"
"""Replace it by where you serve docs/runbook."""
WRITERS: Final = ("topology-builder", "health-scorer")


def _rule(name: str, expr: str, lasting: str, severity: str, summary: str, description: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expr,
        "for": lasting,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": description, "runbook_url": f"{RUNBOOK}/pipeline.md"},
    }


def _pipeline() -> Iterator[dict[str, Any]]:
    yield _rule(
        "KgentsTargetDown",
        'up{job=~"kgents.*"} == 0',
        "1m",
        "warning",
        "{{ $labels.job }} at {{ $labels.instance }} does not answer",
        "Prometheus cannot read its /metrics: it is down, or `probes.host` and `probes.port` do not fit.",
    )
    yield _rule(
        "KgentsNothingScraped",
        'absent(up{job=~"kgents.*"} == 1)',
        "2m",
        "critical",
        "No service of kgents answers",
        "All are down, or Prometheus has no target for them. Nothing else here can fire meanwhile.",
    )
    for service in WRITERS:
        name = "".join(part.capitalize() for part in service.split("-"))
        yield _rule(
            f"Kgents{name}Missing",
            f'absent(target_info{{service_name="{service}"}})',
            "2m",
            "critical",
            f"No instance of {service} answers",
            "What it should keep up to date is stale: readers show it as such. `kgents doctor` has the cause.",
        )
    yield _rule(
        "KgentsHealthUnknown",
        "absent(kgents_health_status)",
        "2m",
        "critical",
        "The health of no cluster is known",
        "No instance of health-scorer judges a cluster: no alert of a check can fire. See its log and `kgents doctor`.",
    )
    yield _rule(
        "KgentsNotInSync",
        f"max by (service_name) (kgents_in_sync * {NAMED}) == 0",
        "5m",
        "warning",
        "{{ $labels.service_name }} is not in sync",
        "No instance of it has published all that it knows. `kgents doctor` shows why: a source that cannot be read, "
        "streams that do not exist, a lease that another instance holds.",
    )
    yield _rule(
        "KgentsNatsAway",
        "kgents_bus_connected == 0",
        "1m",
        "critical",
        "{{ $labels.instance }} has no connection to NATS",
        "Collectors go on and keep samples on disk; nothing is published meanwhile. `kgents doctor` tries each url.",
    )
    yield _rule(
        "KgentsBehind",
        "kgents_lag_seconds > 30",
        "2m",
        "warning",
        "{{ $labels.instance }} is {{ $value | humanizeDuration }} behind",
        "Changes wait to be published: NATS is slow, a stream is full, or the instance has too little CPU.",
    )
    yield _rule(
        "KgentsSamplesDropped",
        "increase(kgents_outbox_evicted_total[10m]) > 0",
        "0s",
        "warning",
        "{{ $labels.instance }} dropped {{ $value | humanize }} messages",
        "Its buffer on disk was full while NATS was away. Raise `buffer_max_bytes`, if such outages are expected.",
    )
    yield _rule(
        "KgentsBufferBroken",
        "kgents_outbox_fault == 1",
        "1m",
        "warning",
        "{{ $labels.instance }} cannot write its buffer on disk",
        "Samples and events are lost if NATS goes away now. See `data_dir`: full, read-only, or not its own.",
    )
    yield _rule(
        "KgentsDeadLetters",
        "increase(kgents_dead_letters_total[10m]) > 0",
        "0s",
        "warning",
        "{{ $labels.instance }} could not read {{ $value | humanize }} messages",
        "They are listed with their reason by `kgents doctor`; the sender is mostly of another version.",
    )
    yield _rule(
        "KgentsTwoWriters",
        "increase(kgents_conflicts_total[10m]) > 2",
        "0s",
        "warning",
        "{{ $labels.instance }} found another writer",
        "Two instances write the same subjects, again and again: two clusters with one name, or a copied file.",
    )
    yield _rule(
        "KgentsFiguresLeftOut",
        "kgents_figures_left_out_entities > 0",
        "15m",
        "warning",
        "{{ $labels.instance }} leaves out {{ $value }} entities in its metrics",
        "Dashboards lack them. Raise `telemetry.figures_max`, or name fewer kinds in `telemetry.figures`.",
    )


def _of_check(check: Check) -> dict[str, Any]:
    return {
        "alert": check.id,
        "expr": f'sum by (cluster, severity) (kgents_alerts_firing{{check="{check.id}"}}) > 0',
        "annotations": {
            "summary": f"{check.name}: {{{{ $value }}}} in {{{{ $labels.cluster }}}}",
            "description": f"{check.why} Which entities: `kgents alerts`.",
            "runbook_url": f"{RUNBOOK}/{check.id}.md",
        },
    }


def document() -> str:
    """The file of rules."""
    groups = [
        {"name": "kgents-pipeline", "rules": list(_pipeline())},
        {"name": "kgents-checks", "rules": [_of_check(check) for check in CHECKS if check.alerts]},
    ]
    text: str = yaml.safe_dump({"groups": groups}, sort_keys=False, width=120, allow_unicode=True)
    return f"# Generated by `make fix`. Do not edit.\n{text}"
