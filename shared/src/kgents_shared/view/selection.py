"""What a reader selects → NATS filters, as narrow as possible, and a test of what they match. Pure."""

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypedDict

import msgspec

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.health import LEVELS
from kgents_shared.contract.subjects import EMPTY, FIELDS, ROOT, escape, is_hashed, unescape
from kgents_shared.contract.vocabulary.kinds import KINDS, SOURCE
from kgents_shared.view.entity import EntityView
from kgents_shared.view.labels import Requirement, parse, render

FILTERS_MAX: Final = 64
"""Filters for one consumer. Beyond this, filters are widened and the surplus is left out here."""

Words = str | Iterable[str] | None
"""One value, several separated by commas, or a sequence of them; None: any."""

_KIND_NAMES: Final[dict[str, str]] = {
    name: kind.name for kind in KINDS.values() for name in (kind.name, kind.plural, *kind.short_names)
}
_PATTERN: Final = re.compile(r"[*?]")
_GIVE_UP: Final = ("name", "namespace", "source", "kind", "cluster")
"""The order in which fields become `*` when there are too many filters: the longest lists first."""


class Filters(TypedDict, total=False):
    """The keywords of `select`, for functions that pass them on."""

    cluster: Words
    kind: Words
    namespace: Words
    name: Words
    source: Words
    label: str | Mapping[str, str] | None
    level: Words


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which entities, events or pulses; an empty field matches everything. Made by `select`."""

    clusters: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    """The empty string stands for entities without a namespace."""
    names: tuple[str, ...] = ()
    """In these four fields, `*` matches any text and `?` any character."""
    sources: tuple[str, ...] = ()
    """Reported by one of these collectors."""
    labels: tuple[Requirement, ...] = ()
    levels: tuple[str, ...] = ()

    @property
    def signals(self) -> tuple[str, ...]:
        """The state signals that `takes` needs."""
        needed = {"topology": self.labels or self.sources, "health": self.levels}
        return tuple(signal for signal, need in needed.items() if need)

    def filters(self, signal: str) -> list[str]:
        """NATS filters that match every selected message, and few others. No two overlap."""
        options = {field: self._tokens(field) for field in FIELDS[signal]}
        for field in _GIVE_UP:
            if math.prod(map(len, options.values())) > FILTERS_MAX and field in options:
                options[field] = ["*"]
        return [".".join((ROOT, signal, *tokens)) for tokens in itertools.product(*options.values())]

    @property
    def cluster_tokens(self) -> list[str]:
        """The selected clusters as tokens of NATS filters."""
        return self._tokens("cluster")

    def source_filters(self) -> list[str]:
        """Filters that match the sources of the selected entities, as far as those of the topology do not."""
        found = [f"{ROOT}.topology.{cluster}.{SOURCE}.{EMPTY}.*" for cluster in self._tokens("cluster")]
        return [each for each in found if not any(_is_within(each, wide) for wide in self.filters("topology"))]

    def subject_test(self, signal: str) -> Callable[[str], bool]:
        """Whether a subject that the filters matched is selected; quick, for every message.

        A long name is a hash in its subject: whether it fits a pattern, only `takes` can know.
        """
        tests = [
            (index, _token_test(words))
            for index, field in enumerate(FIELDS[signal], start=2)
            if (words := self._words(field))
        ]

        def test(subject: str) -> bool:
            tokens = subject.split(".")
            return all(fits(tokens[index]) for index, fits in tests)

        return test if tests else lambda _: True

    def takes_cluster(self, cluster: str) -> bool:
        """Whether entities of this cluster may be selected."""
        return _fits(self.clusters, cluster)

    def takes_ref(self, ref: Ref) -> bool:
        """Whether an entity of this name may be selected, by its name alone."""
        if self._is_of_any_name:
            return True
        fields = ((self.clusters, ref.cluster), (self.kinds, ref.kind), (self.namespaces, ref.namespace))
        return all(_fits(words, value) for words, value in (*fields, (self.names, ref.name)))

    def takes(self, entity: EntityView) -> bool:
        """Whether this entity is selected. Decodes only what the selection needs."""
        return (
            (self._is_of_any_name or self.takes_ref(entity.ref))
            and (not self.levels or entity.level in self.levels)
            and (not self.sources or not set(self.sources).isdisjoint(entity.sources))
            and all(each.holds(entity.labels) for each in self.labels)
        )

    @property
    def _is_of_any_name(self) -> bool:
        """Whether names do not count: then none has to be read, which is most of what `takes` costs."""
        return not (self.clusters or self.kinds or self.namespaces or self.names)

    def __str__(self) -> str:
        """As flags: `--kind pod --namespace shop`; empty for everything."""
        named = {"cluster": self.clusters, "kind": self.kinds, "namespace": self.namespaces, "name": self.names}
        rest = {"source": self.sources, "level": self.levels}
        label = (render(self.labels),) if self.labels else ()
        given = {**named, "label": label, **rest}
        return " ".join(f"--{option} {','.join(words) or repr('')}" for option, words in given.items() if words)

    def _words(self, field: str) -> tuple[str, ...]:
        fields = {
            "cluster": self.clusters,
            "kind": self.kinds,
            "namespace": self.namespaces,
            "name": self.names,
            "source": self.sources,
        }
        return fields.get(field, ())

    def _tokens(self, field: str) -> list[str]:
        """The tokens that a field may have, or the wildcard."""
        words = self._words(field)
        if not words or any(map(_PATTERN.search, words)):
            return ["*"]
        return [escape(word) for word in words]


def select(
    *,
    cluster: Words = None,
    kind: Words = None,
    namespace: Words = None,
    name: Words = None,
    source: Words = None,
    label: str | Mapping[str, str] | None = None,
    level: Words = None,
) -> Selection:
    """A selection from flags or arguments.

    Args:
        cluster: names of clusters.
        kind: kinds of entities, such as `pod,node`; plurals and kubectl's short names are accepted.
        namespace: names of namespaces; the empty string for entities without one.
        name: names; as in the three above, `cart-*` selects all that begin so.
        source: collectors, such as `k8s`; an entity is taken if one of them reports it.
        label: a label selector as kubectl reads it, or labels that must have exactly these values.
        level: levels of health.

    Raises:
        ValueError: a selector or level is not valid; the text says what was expected.
    """
    levels = _listed("level", level)
    if unknown := sorted(set(levels) - set(LEVELS)):
        raise ValueError(f"expected a level out of {', '.join(LEVELS)}, found {unknown[0]!r}")
    return Selection(
        clusters=_listed("cluster", cluster),
        kinds=tuple(map(kind_named, _listed("kind", kind))),
        namespaces=_listed("namespace", namespace, may_be_empty=True),
        names=_listed("name", name),
        sources=_listed("source", source),
        labels=_requirements(label),
        levels=levels,
    )


def _is_within(narrow: str, wide: str) -> bool:
    """Whether one filter matches all that another one does."""
    return all(token in ("*", own) for own, token in zip(narrow.split("."), wide.split("."), strict=True))


def kind_named(word: str) -> str:
    """The kind that a plural or a short name means (`pods`, `po`: `pod`); any other word counts as a kind itself."""
    return _KIND_NAMES.get(word.lower(), word)


def _listed(field: str, words: Words, *, may_be_empty: bool = False) -> tuple[str, ...]:
    if words is None:
        return ()
    given = words.split(",") if isinstance(words, str) else words
    found = tuple(dict.fromkeys(word.strip() for word in given))
    if "" in found and not may_be_empty:
        raise ValueError(f"expected a {field}, or several separated by commas, found {words!r}")
    return found


def _requirements(label: str | Mapping[str, str] | None) -> tuple[Requirement, ...]:
    if label is None:
        return ()
    if isinstance(label, str):
        return parse(label)
    return tuple(Requirement(key, (value,)) for key, value in label.items())


def _fits(words: tuple[str, ...], value: str) -> bool:
    return not words or value in words or any(_regex(word).fullmatch(value) for word in words if _PATTERN.search(word))


def _token_test(words: tuple[str, ...]) -> Callable[[str], bool]:
    tokens = frozenset(map(escape, words))
    patterns = [_regex(word) for word in words if _PATTERN.search(word)]

    def test(token: str) -> bool:
        if token in tokens:
            return True
        if not patterns:
            return False
        try:
            value = unescape(token)
        except MalformedMessageError:
            return is_hashed(token)
        return any(pattern.fullmatch(value) for pattern in patterns)

    return test


def _regex(pattern: str) -> re.Pattern[str]:
    first, *others = (re.escape(part).replace(r"\?", ".") for part in pattern.split("*"))
    if not others:
        return re.compile(first, re.DOTALL)
    # Each part where it comes first, and never tried elsewhere: what a client sends may not make this take forever.
    middle = "".join(f"(?>.*?{part})" for part in others[:-1] if part)
    return re.compile(f"{first}{middle}.*{others[-1]}", re.DOTALL)
