"""Whether a published Health message still holds, so that the next one need not be written. Pure."""

from typing import Final

from kgents_health_scorer import recurrence
from kgents_health_scorer.aggregate import aggregate_same
from kgents_health_scorer.alerts import has_doubled
from kgents_shared.contract.health import Health, Observed

CALM: Final = 0.05
"""A score that moves less than this inside its level is not published."""


def health_same(published: Health, wanted: Health) -> bool:
    """Whether the published message still holds. Its text and values may vary; what it concludes may not.

    That more checks have been evaluated, or more of those that apply, is published; that fewer have is not: when
    samples stop, `KG-006` reports it.
    """
    if published.aggregate is not None and wanted.aggregate is not None:
        return aggregate_same(published.aggregate, wanted.aggregate)
    return (
        published.level == wanted.level
        and published.uid == wanted.uid
        and abs(published.score - wanted.score) < CALM
        and published.evaluated >= wanted.evaluated
        and published.evaluated * wanted.applicable >= wanted.evaluated * published.applicable
        and _reasons_same(published, wanted)
        and _observed_same(published.observed, wanted.observed)
        and recurrence.same(published.recurrences, wanted.recurrences)
        and published.baselines == wanted.baselines
        and published.learning == wanted.learning
    )


def _observed_same(published: Observed | None, wanted: Observed | None) -> bool:
    """Whether a restarted scorer would go on alike: that it merely runs may still be said, as of what has expired."""
    if published is not None and wanted is None:
        return published == Observed("running", incarnation=published.incarnation)
    return published == wanted


def _reasons_same(published: Health, wanted: Health) -> bool:
    """Whether the same was found. What is a word and not a figure may not vary, nor may a text without findings."""
    if not published.reasons and not wanted.reasons:
        return published.text == wanted.text
    known = {each.check: each for each in published.reasons}
    return known.keys() == {each.check for each in wanted.reasons} and not any(
        (isinstance(each.value, str) and known[each.check].value != each.value)
        or known[each.check].edge != each.edge
        or has_doubled(known[each.check], each)
        for each in wanted.reasons
    )
