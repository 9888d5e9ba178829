"""What keeps clients from their work though the server answers: a sample and the previous one → figures. Pure."""

from collections.abc import Iterator
from typing import Final

from kgents_collector_db.mapping.facts import Figures
from kgents_collector_db.mapping.postgres.freshness import is_late
from kgents_collector_db.mapping.postgres.obstacle_rows import Limit, Subscription
from kgents_collector_db.mapping.postgres.rates import Span, greatest
from kgents_collector_db.mapping.postgres.sample import PostgresSample
from kgents_shared.contract.vocabulary.figures import postgres as figure

TEMP_FLOOR_BYTES: Final = 256 * 1024**2
"""Temporary files of less are no fault, however small the databases are."""


def figures(span: Span, previous: PostgresSample | None, sample: PostgresSample) -> Figures:
    """Figures of waiting commits, refused writes, connection limits, subscriptions and temporary files."""
    return {
        **_commits(previous, sample),
        **_writes(sample),
        **_limits(sample),
        **_subscriptions(span, previous, sample),
        figure.TEMP_FILES_RATIO: _temp_ratio(sample),
    }


def _is_primary(sample: PostgresSample) -> bool:
    return sample.identity is not None and not sample.identity.in_recovery


def _commits(previous: PostgresSample | None, sample: PostgresSample) -> Figures:
    if not _is_primary(sample):
        return {}
    if sample.commits is None or sample.identity is None or not sample.identity.sees_all:
        return dict.fromkeys((figure.COMMITS_WAITING, figure.COMMIT_WAIT_SECONDS))
    # The server does not report since when: a statement that ran for an hour may wait for a millisecond. So only one
    # that waited at the previous poll, too, counts as waiting for long.
    before = {(each.pid, each.query_start) for each in (previous.commits if previous else None) or ()}
    waited = [each.query_s if (each.pid, each.query_start) in before else 0.0 for each in sample.commits]
    return {
        figure.COMMITS_WAITING: float(len(waited)),
        figure.COMMIT_WAIT_SECONDS: greatest(waited) or 0.0,
    }


def _writes(sample: PostgresSample) -> Figures:
    if not _is_primary(sample) or sample.identity is None:
        return {}
    read_only = sample.identity.is_read_only
    return {figure.READ_ONLY: float(read_only) if read_only is not None else None}


def _limits(sample: PostgresSample) -> Figures:
    names = {"database": figure.DATABASE_CONNECTIONS_RATIO, "role": figure.ROLE_CONNECTIONS_RATIO}
    if sample.limits is None or sample.identity is None or not sample.identity.sees_all:
        return dict.fromkeys(names.values())
    found: Figures = {}
    for what, name in names.items():
        shares = [min(1.0, each.used / each.most) for each in sample.limits if each.what == what]
        if shares:  # else none has a limit
            found[name] = max(shares)
    return found


def reached(sample: PostgresSample) -> Iterator[Limit]:
    """The limits that let no further client in."""
    return (each for each in sample.limits or () if each.used >= each.most)


def _subscriptions(span: Span, previous: PostgresSample | None, sample: PostgresSample) -> Figures:
    if not _is_primary(sample):  # a standby has the subscriptions of its primary, and runs none of them
        return {}
    if sample.subscriptions is None:
        return dict.fromkeys((figure.SUBSCRIPTIONS_FAILING, figure.SUBSCRIPTION_ERRORS))
    if not sample.subscriptions:
        return {figure.SUBSCRIPTIONS: 0.0}
    before = {each.oid: each.errors for each in (previous.subscriptions if previous else None) or ()}
    grown = {each.oid: span.difference(before.get(each.oid), each.errors) for each in sample.subscriptions}
    known = [each for each in grown.values() if each is not None]
    return {
        figure.SUBSCRIPTIONS: float(len(sample.subscriptions)),
        figure.SUBSCRIPTIONS_FAILING: float(
            sum(_fails(each, grown[each.oid], sample) for each in sample.subscriptions)
        ),
        figure.SUBSCRIPTION_ERRORS: sum(known) if known else None,
    }


def _fails(subscription: Subscription, errors: float | None, sample: PostgresSample) -> bool:
    """Whether it does not replicate though it should. One that an operator disabled should not."""
    if not subscription.is_enabled:
        return subscription.stops_on_error and subscription.errors > 0
    if errors or subscription.msg_age_s is None:
        return True
    return sample.identity is not None and is_late(sample.identity, subscription.msg_age_s)


def _temp_ratio(sample: PostgresSample) -> float | None:
    if sample.temp_files is None or sample.sizes is None:
        return None
    return sample.temp_files.bytes / max(TEMP_FLOOR_BYTES, sum(sample.sizes.values()))
