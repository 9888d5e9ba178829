"""Finds entities by a name as people type it: `pod/cart`, `shop/cart-7f`, `po/shop/cart-7f`, `cart`. Pure."""

import difflib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.view.selection import kind_named

LISTED_MAX: Final = 10
"""Names in an error."""
COMPARED_MAX: Final = 20_000
"""Names that are compared for a suggestion: each takes about ten microseconds."""

_PATH: Final = 0
_EXACT: Final = 1
_BEGINNING: Final = 2
_PART: Final = 3
_NO_MATCH: Final = 4


def path_of(ref: Ref) -> str:
    """The shortest name that is complete within a cluster: `pod/shop/cart-7f`, `node/n1`."""
    return ref.path


def matches(text: str, refs: Iterable[Ref]) -> list[Ref]:
    """The entities that a text may mean, sorted by name.

    Those whose path it is if there are any (`custom/x` is then never `custom/shop/x`), else those with exactly that
    name, else those whose name begins so, else those whose name contains it. The name may be preceded by the kind, the
    namespace, both, or the cluster and both: `pod/cart`, `shop/cart`, `pod/shop/cart`, `prod/pod/shop/cart`.
    """
    search = Search(text)
    for ref in refs:
        search.add(ref)
    return sorted(search.best)


class Search:
    """Takes one name after the other, and keeps the best: see `matches`."""

    def __init__(self, text: str) -> None:
        """`text`: as people type it."""
        self.best: list[Ref] = []
        """In the order in which they came."""
        self._readings = _readings(text)
        self._last = text.rpartition("/")[2]  # in each of these readings it is part of the name
        self._rank = _NO_MATCH - 1

    def add(self, ref: Ref) -> None:
        """One more entity."""
        if self._last not in ref.name:
            return
        rank = min(_rank(each, ref) for each in self._readings)
        if rank < self._rank:
            self.best, self._rank = [], rank
        if rank == self._rank:
            self.best.append(ref)


def one(text: str, refs: Iterable[Ref]) -> Ref:
    """The one entity that a text means.

    Raises:
        NotFoundError: none, or more than one; the text says which names are near.
    """
    listed = list(refs)
    found = matches(text, listed)
    if len(found) == 1:
        return found[0]
    raise NotFoundError(_ambiguous(text, found) if found else _unknown(text, listed))


def _ambiguous(text: str, found: list[Ref]) -> str:
    names = list(dict.fromkeys(map(path_of, found)))
    if len(names) == 1:
        clusters = ", ".join(sorted(ref.cluster for ref in found))
        return f"expected one entity for {text!r}, found {names[0]} in the clusters {clusters}; name one of them"
    more = f" and {len(names) - LISTED_MAX} more" if len(names) > LISTED_MAX else ""
    return (
        f"expected one entity for {text!r}, found {len(names)}: {', '.join(names[:LISTED_MAX])}{more}; name one of them"
    )


def _unknown(text: str, refs: list[Ref]) -> str:
    near = suggestions(text, refs)
    return f"no entity is named {text!r}" + (f"; did you mean {' or '.join(near)}?" if near else "")


def suggestions(text: str, refs: Iterable[Ref], *, count: int = 3) -> list[str]:
    """The nearest names of entities, the best first; as `path_of` gives them."""
    by_name: dict[str, str] = {}
    for ref in islice(refs, COMPARED_MAX):
        by_name.setdefault(ref.name, path_of(ref))
        by_name.setdefault(path_of(ref), path_of(ref))
    near = [
        by_name[each]
        for reading in _readings(text)
        for each in difflib.get_close_matches(reading, by_name, count)
        if _are_alike(reading, each)
    ]
    return list(dict.fromkeys(near))[:count]


def _are_alike(text: str, path: str) -> bool:
    """Whether also the last parts are alike: two entities of one kind share the first."""
    return bool(difflib.get_close_matches(text.rpartition("/")[2], [path.rpartition("/")[2]], 1))


def _readings(text: str) -> tuple[str, ...]:
    """The text, and the text with its first part read as a plural or short name of a kind."""
    first, slash, rest = text.partition("/")
    kind = kind_named(first)
    return (text, f"{kind}/{rest}") if slash and kind != first else (text,)


def _rank(text: str, ref: Ref) -> int:
    if text in (path_of(ref), f"{ref.cluster}/{path_of(ref)}"):
        return _PATH
    best = _NO_MATCH
    for prefix in _prefixes(ref):
        rest = text[len(prefix) :]
        if not rest or not text.startswith(prefix):
            continue
        if ref.name == rest:
            return _EXACT
        if ref.name.startswith(rest):
            best = min(best, _BEGINNING)
        elif rest in ref.name:
            best = min(best, _PART)
    return best


def _prefixes(ref: Ref) -> Iterator[str]:
    """The prefixes allowed before the name."""
    yield ""
    yield f"{ref.kind}/"
    if ref.namespace:
        yield f"{ref.namespace}/"
        yield f"{ref.kind}/{ref.namespace}/"
    yield f"{ref.cluster}/{path_of(ref).removesuffix(ref.name)}"
