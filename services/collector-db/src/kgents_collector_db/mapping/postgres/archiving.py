"""Archiving of WAL: a sample and the previous one → figures. Pure."""

from kgents_collector_db.mapping.facts import Figures
from kgents_collector_db.mapping.postgres.rates import Span
from kgents_collector_db.mapping.postgres.sample import PostgresSample
from kgents_shared.contract.vocabulary.figures import postgres as figure


def figures(span: Span, previous: PostgresSample | None, sample: PostgresSample) -> Figures:
    """Whether archiving fails, and how much WAL waits for it; nothing where it is off."""
    if not _archives(sample):
        return {}
    return {**_attempts(span, previous, sample), **_waiting(sample)}


def _attempts(span: Span, previous: PostgresSample | None, sample: PostgresSample) -> Figures:
    now, before = sample.archiver, previous.archiver if previous else None
    if now is None:
        return {figure.ARCHIVING_FAILING: None}
    return {
        figure.ARCHIVING_FAILING: float(is_archiving_failing(sample)),
        figure.ARCHIVED_AGE_SECONDS: now.since_archived_s,
        figure.ARCHIVED_SEGMENTS: span.difference(before.archived_count, now.archived_count) if before else None,
    }


def _waiting(sample: PostgresSample) -> Figures:
    waiting, settings = sample.archive_waiting, sample.settings
    if waiting is None:
        return {figure.ARCHIVE_WAITING_RATIO: None}
    limit_bytes = settings.max_wal_bytes if settings is not None else None
    return {
        figure.ARCHIVE_WAITING_SEGMENTS: float(waiting.n),
        figure.ARCHIVE_WAITING_RATIO: waiting.n * waiting.segment_bytes / limit_bytes if limit_bytes else None,
    }


def _archives(sample: PostgresSample) -> bool:
    """Whether `archive_mode` applies in its role: on a standby only `always` does, else its figures are outdated."""
    identity = sample.identity
    return identity is not None and identity.archive_mode in (("always",) if identity.in_recovery else ("on", "always"))


def is_archiving_failing(sample: PostgresSample) -> bool:
    """Whether the last attempt to archive a segment failed."""
    archiver = sample.archiver
    if archiver is None or archiver.since_failed_s is None or not _archives(sample):
        return False
    return archiver.since_archived_s is None or archiver.since_failed_s < archiver.since_archived_s
