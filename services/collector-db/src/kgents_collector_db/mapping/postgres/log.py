"""The server's log: counts of messages → figures of the time between two polls. Pure."""

from typing import Final

from kgents_collector_db.mapping.facts import Figures
from kgents_collector_db.mapping.postgres.sample import Messages, PostgresSample
from kgents_shared.contract.vocabulary.figures import postgres as figure

ERRORS: Final = ("error", "fatal", "panic")
ERRORS_MIN: Final = 10
"""Fewer errors between two polls are no rate."""


def figures(previous: PostgresSample | None, sample: PostgresSample) -> Figures:
    """Messages since the previous poll: known also while the server is down."""
    now = sample.messages
    if now is None:
        return {}
    before = (previous.messages if previous else None) or Messages({}, 0, 0, 0)
    found: Figures = {
        figure.LOG_MESSAGES.named(severity=severity): float(max(0, count - before.by_severity.get(severity, 0)))
        for severity, count in now.by_severity.items()
    }
    found |= {
        figure.LOG_DISK_FULL: float(max(0, now.disk_full - before.disk_full)),
        figure.LOG_REJECTED_LOGINS: float(max(0, now.rejected_logins - before.rejected_logins)),
    }
    skipped = now.skipped_bytes - before.skipped_bytes
    return found | ({figure.LOG_SKIPPED_BYTES: float(skipped)} if skipped > 0 else {})


def error_ratio(previous: PostgresSample | None, sample: PostgresSample, transactions: float | None) -> Figures:
    """Errors for each transaction since the previous poll; absent while there are too few for a rate."""
    if sample.messages is None or previous is None or previous.messages is None:
        return {}
    before, now = previous.messages.by_severity, sample.messages.by_severity
    errors = sum(max(0, now.get(each, 0) - before.get(each, 0)) for each in ERRORS)
    if errors < ERRORS_MIN:
        return {}
    return {figure.LOG_ERROR_RATIO: errors / max(errors, transactions) if transactions is not None else None}
