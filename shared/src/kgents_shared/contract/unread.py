"""What a source could not read: the scopes that a heartbeat does not attest. Pure.

What is published of an unread scope stays as it was and may be outdated: an observer's failure is never a deletion.
A scope without any field is everything of the source, so that a source which is silent is an unread scope, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import structs

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.subjects import is_hashed, unescape
from kgents_shared.contract.wire import Time, Wire

UNREAD_MAX: Final = 32
"""Scopes in one heartbeat. More are merged into fewer, wider ones."""

_FIRST_FIELD: Final = {"entity": 2, "topology": 1, "health": 1}
"""Signal → where the kind is among the fields of its subjects."""
_WIDER: Final = (
    (),
    ("name",),
    ("name", "namespace"),
    ("name", "namespace", "kind"),
    ("name", "namespace", "kind", "part"),
)
"""Fields to leave out, in this order, until the scopes are few enough."""


class Unread(Wire, frozen=True):
    """Some entities of one source. A field left empty means all: without any, it is everything of the source."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    part: str = ""
    """What is collected as a whole: a Docker engine, a database target. Covers entities with this `Entity.part`."""
    since: Time | None = None
    """Since when it cannot be read. It is stale from 15 s after the first heartbeat that names it."""
    reason: str = ""
    """Why, in one sentence."""

    def __str__(self) -> str:
        """For people: `container shop/cart-1`, `pod in shop`, `part build`, `everything`."""
        place = f"{self.namespace}/{self.name}" if self.namespace and self.name else self.name
        words = [self.kind, place or (f"in {self.namespace}" if self.namespace else "")]
        words += [f"part {self.part}"] if self.part else []
        return " ".join(filter(None, words)) or "everything"

    @property
    def is_everything(self) -> bool:
        """Whether it is all of the source."""
        return not any(self.place)

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Kind, namespace, name and part: what it covers."""
        return self.kind, self.namespace, self.name, self.part

    def common(self, other: "Unread") -> "Unread | None":
        """What both cover, since the earlier of both, for this one's reason; None if they have no entity in common."""
        pairs = zip(self.place, other.place, strict=True)
        if any(mine and theirs and mine != theirs for mine, theirs in pairs):
            return None
        since = min((each.since for each in (self, other) if each.since is not None), default=None)
        return Unread(
            kind=self.kind or other.kind,
            namespace=self.namespace or other.namespace,
            name=self.name or other.name,
            part=self.part or other.part,
            since=since,
            reason=self.reason,
        )

    def covers(self, ref: Ref, part: str = "") -> bool:
        """Whether it includes an entity of a part."""
        return (
            self.kind in ("", ref.kind)
            and self.namespace in ("", ref.namespace)
            and self.name in ("", ref.name)
            and self.part in ("", part)
        )


def of_subjects(failures: Mapping[str, str]) -> list[Unread]:
    """The scopes of entities whose subjects could not be published, by their reasons; of many, their kinds."""
    found: dict[str, Unread] = {}
    for subject, why in failures.items():
        _, signal, *fields = subject.split(".")
        if (first := _FIRST_FIELD.get(signal)) is None:
            continue
        kind, namespace, name, *_ = (*fields[first:], "", "", "")
        if len(failures) > UNREAD_MAX or is_hashed(name) or is_hashed(namespace):
            found.setdefault(kind, Unread(kind=unescape(kind), reason=why))
        else:
            found[subject] = Unread(unescape(kind), unescape(namespace), unescape(name), reason=why)
    return list(found.values())


def bounded(unread: Iterable[Unread], most: int = UNREAD_MAX) -> list[Unread]:
    """At most `most` scopes that cover everything that these do, as narrow as possible."""
    scopes = list(unread)
    for left_out in _WIDER:
        merged = _merged(scopes, left_out)
        if len(merged) <= most:
            return merged
    return _merged(scopes, _WIDER[-1])


def _merged(unread: Iterable[Unread], left_out: Sequence[str]) -> list[Unread]:
    groups: dict[Unread, list[Unread]] = {}
    for each in unread:
        wider = structs.replace(each, since=None, reason="", **dict.fromkeys(left_out, ""))
        groups.setdefault(wider, []).append(each)
    return [_common(wider, group) for wider, group in groups.items()]


def _common(wider: Unread, group: Sequence[Unread]) -> Unread:
    since = min((each.since for each in group if each.since is not None), default=None)
    reasons = list(dict.fromkeys(each.reason for each in group if each.reason))
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return structs.replace(wider, since=since, reason=f"{reasons[0]}{more}" if reasons else "")
