"""Messages that were heard on subjects of applications → subjects that are shown, with their rates. Pure.

Applications put ids into subjects: a token with many values is shown as one `*`, so their number stays small. What is
shown as `*` stays so, and what was heard lately stays shown: an idle subject gives the same bytes at every poll.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from msgspec import Struct

from kgents_collector_nats.sample import Count, Heard
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import nats as attribute

VALUES_MAX: Final = 20
"""Different values of a token after the same beginning; with more of them it is shown as `*`."""

_Prefix = tuple[str, ...]


class Rate(Struct, frozen=True):
    """Messages of one shown subject; None: not listened to since the last poll."""

    messages_per_sec: float | None = None
    bytes_per_sec: float | None = None
    listened_ratio: float | None = None
    """Share of the time that was listened to: below 1 the rates are of a sample."""


def rates(heard: Heard, published: Mapping[Ref, object], known: Collection[Ref]) -> dict[str, Rate]:
    """Shown subject → its rate.

    Args:
        heard: since the last poll.
        published: what is published, by ref.
        known: of these, the subjects that were heard.
    """
    names = [ref.name for ref in known if ref in published]
    folded: defaultdict[str, Count] = defaultdict(Count)
    for name, shown in fold(heard.counts, names).items():
        folded[shown].messages += heard.counts[name].messages
        folded[shown].size_bytes += heard.counts[name].size_bytes
    found = {name: _rate(count, heard) for name, count in folded.items()}
    if not heard.is_settled:
        found = {**dict.fromkeys(names, _rate(Count(), heard)), **found}
    return found


def fold(subjects: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Subject → the name it is shown by; `names` are shown already."""
    shown: dict[str, _Prefix] = dict.fromkeys(subjects, ())
    patterns = {tuple(name.split(".")[: depth + 1]) for name in names for depth in range(name.count(".") + 1)}
    tokens = {subject: subject.split(".") for subject in shown}
    for depth in range(max(map(len, tokens.values()), default=0)):
        values: defaultdict[_Prefix, set[str]] = defaultdict(set)
        deep = [subject for subject in shown if len(tokens[subject]) > depth]
        for subject in deep:
            values[shown[subject]].add(tokens[subject][depth])
        many = {each for each, found in values.items() if len(found) > VALUES_MAX or (*each, "*") in patterns}
        for subject in deep:
            prefix = shown[subject]
            shown[subject] = (*prefix, "*" if prefix in many else tokens[subject][depth])
    return {subject: ".".join(found) for subject, found in shown.items()}


def is_heard(ref: Ref, attributes: Mapping[str, object]) -> bool:
    """Whether a published entity is a subject that was heard."""
    return ref.kind == kinds.NATS_SUBJECT and attributes.get(attribute.HEARD) is True


def _rate(count: Count, heard: Heard) -> Rate:
    if heard.listened_s <= 0 or heard.seconds <= 0:
        return Rate()
    share = min(1.0, heard.listened_s / heard.seconds)
    return Rate(count.messages / heard.listened_s, count.size_bytes / heard.listened_s, share)
