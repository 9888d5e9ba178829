"""What `kgents up` shows on a terminal: entities and changes → the lines of one picture, whatever its size. Pure.

From top to bottom: where it runs and its web view, how many entities there are by level, those that are unwell with the
worst first, then what changed, the newest last. What does not fit is counted, and a line is never longer than the
terminal is wide.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from kgents_cli.sentence import Line, clean
from kgents_shared.contract.vocabulary.kinds import CLUSTER, SOURCE
from kgents_shared.view.entity import EntityView

LEVELS: Final = ("critical", "warning", "unknown", "healthy")
"""The worst first."""
MARKS: Final = {"critical": "✖", "warning": "▲", "unknown": "?", "healthy": "●"}
WIDTH_MIN: Final = 20
HEIGHT_MIN: Final = 6
_WIDE: Final = ("W", "F")


class Part(msgspec.Struct, frozen=True):
    """A piece of a line, in the style of a level, or `bold` or `dim`."""

    text: str
    style: str = ""


Shown = list[Part]
"""One line."""


class Head(msgspec.Struct, frozen=True):
    """What is above everything."""

    title: str
    facts: tuple[str, ...] = ()
    """Such as the address of the web view; those that do not fit beside the title are left out, the last first."""
    notice: str = ""
    """What every picture has to say: that it is a demo."""


def picture(
    head: Head, views: Iterable[EntityView], changes: Sequence[tuple[str, Line]], width: int, height: int
) -> list[Shown]:
    """At most `height` lines of at most `width` columns. Changes come with the time of day, as it is shown."""
    width, height = max(width, WIDTH_MIN), max(height, HEIGHT_MIN)
    found = list(views)
    entities = [each for each in found if each.ref.kind not in (CLUSTER, SOURCE) or each.level != "healthy"]
    lines = [*_head(head, width), _counts([each for each in entities if each.ref.kind != CLUSTER])]
    lines += _origins(found)
    unwell = sorted((each for each in entities if _is_unwell(each)), key=_badness)
    room = height - len(lines) - 2  # a heading above each list
    for_unwell = min(len(unwell), max(room // 2, room - len(changes)))
    if unwell and for_unwell > 0:
        lines += [[Part("unwell, the worst first", "dim")], *_unwell(unwell, for_unwell)]
    room = height - len(lines) - 1
    if room > 0 and changes:
        lines += [[Part("changes", "dim")], *(_change(at, each, width) for at, each in changes[-room:])]
    return [cut(each, width) for each in lines[:height]]


def _head(head: Head, width: int) -> Iterator[Shown]:
    facts = list(head.facts)
    while facts and columns(" · ".join((head.title, *facts))) > width:
        facts.pop()
    yield [Part(head.title, "bold"), *(Part(f" · {each}") for each in facts)]
    if head.facts and not facts:
        yield [Part(head.facts[0])]
    if head.notice:
        yield [Part(head.notice, "warning")]


def _counts(entities: Sequence[EntityView]) -> Shown:
    levels = [each.level if each.health is not None else "" for each in entities]
    counts = [(level, levels.count(level)) for level in LEVELS]
    found = [Part(f"  {MARKS[level]} {number} {level}", level) for level, number in counts if number]
    if not entities:
        return [Part("no entity yet", "dim")]
    return [Part(f"{len(entities)} entities" if len(entities) > 1 else "1 entity", "bold"), *found]


def _origins(views: Sequence[EntityView]) -> Iterator[Shown]:
    """What health-scorer names as the most probable origin in each cluster, if it explains anything else."""
    for view in views:
        aggregate = view.health.aggregate if view.ref.kind == CLUSTER and view.health is not None else None
        for root in aggregate.roots[:1] if aggregate is not None else ():
            if root.explained:
                yield [Part("probable origin: ", "bold"), Part(clean(root.text))]


def _unwell(views: Sequence[EntityView], room: int) -> Iterator[Shown]:
    shown = views if len(views) <= room else views[: room - 1]
    for view in shown:
        cluster = f" ({view.ref.cluster})" if len({each.ref.cluster for each in views}) > 1 else ""
        level = view.level if view.level in MARKS else "unknown"
        why = view.why or view.condition
        yield [
            Part(f"{MARKS[level]} ", level),
            Part(clean(f"{view.ref}{cluster}"), level),
            Part(clean(f"  {why}") if why else ""),
        ]
    if len(shown) < len(views):
        yield [Part(f"  and {len(views) - len(shown)} more: kgents health", "dim")]


def _change(at: str, line: Line, width: int) -> Shown:
    when = f"{at} " if width >= 60 else ""
    mark = MARKS.get(line.level, "·")
    return [Part(when, "dim"), Part(f"{mark} ", line.level), Part(line.text)]


def _is_unwell(view: EntityView) -> bool:
    return view.health is not None and view.level != "healthy" and view.ref.kind != CLUSTER


def _badness(view: EntityView) -> tuple[int, float, str]:
    place = LEVELS.index(view.level) if view.level in LEVELS else len(LEVELS)
    return place, view.score if view.score is not None else 1.0, f"{view.ref.cluster} {view.ref}"


def cut(line: Shown, width: int) -> Shown:
    """The line, no wider than that; an ellipsis stands for the rest."""
    if sum(columns(each.text) for each in line) <= width:
        return line
    kept: Shown = []
    left = width - 1
    for each in line:
        text = _fitting(each.text, left)
        left -= columns(text)
        kept.append(Part(text, each.style))
        if text != each.text:
            break
    return [*kept, Part("…", "dim")]


def _fitting(text: str, width: int) -> str:
    used = 0
    for place, each in enumerate(text):
        used += _columns_of(each)
        if used > width:
            return text[:place]
    return text


def columns(text: str) -> int:
    """How many columns a terminal gives a text."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1
