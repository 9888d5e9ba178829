"""Facts → plain text, for e-mail and everything without a form of its own. Pure."""

from collections.abc import Iterator

from kgents_alert_notifier.message.facts import Facts, clean, moment

ENTRIES_SHOWN = 20
"""Incidents of a digest in one message."""


def text(facts: Facts) -> str:
    """The whole message, one fact on each line."""
    return "\n".join(lines(facts))


def lines(facts: Facts) -> Iterator[str]:
    """The headline, then what is known, what to do, and notes."""
    yield facts.headline
    if facts.entries:
        yield from _entries(facts)
        yield from facts.notes
        return
    yield facts.lasting
    if facts.affected:
        yield f"Affected: {facts.affected}"
    yield f"Probable cause: {facts.cause}"
    yield from (f"- {each}" for each in facts.reasons)
    yield from facts.notes
    if facts.runbook:
        yield f"Runbook: {facts.runbook}"
    if facts.link:
        yield f"View: {facts.link}"
    if facts.silence:
        yield f"Silence: {facts.silence}"


def _entries(facts: Facts) -> Iterator[str]:
    for each in facts.entries[:ENTRIES_SHOWN]:
        yield f"- {each.severity} {each.state}: {clean(each.title)} (since {moment(each.started_at)}, {each.id})"
    if (more := len(facts.entries) - ENTRIES_SHOWN) > 0:
        yield f"… and {more:,} more: kgents incidents"
