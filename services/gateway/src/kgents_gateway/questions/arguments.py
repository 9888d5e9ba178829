"""Texts of a URL, values of a message → the arguments of a question, checked; those that several share. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar, get_origin

import msgspec
from msgspec import Meta
from msgspec.structs import fields

from kgents_shared.contract.alert import STATES
from kgents_shared.contract.event import SEVERITIES
from kgents_shared.view.moment import moment
from kgents_shared.view.selection import Selection, select

A = TypeVar("A", bound="Arguments")

Word = Annotated[str, Meta(min_length=1, extra_json_schema={"pattern": r"^[^,\s]([^,]*[^,\s])?$"})]
"""In a URL, blanks around it do not count, and a comma begins the next one."""
Words = Annotated[list[Word], Meta(max_length=100)]
State = Annotated[str, Meta(min_length=1, extra_json_schema={"enum": list(STATES)})]
Severity = Annotated[str, Meta(min_length=1, extra_json_schema={"enum": list(SEVERITIES)})]
Level = Annotated[str, Meta(min_length=1, extra_json_schema={"enum": ["healthy", "warning", "critical", "unknown"]})]
Past = Annotated[
    str, Meta(description="RFC 3339, or how long ago: `-10m`, `-2h`.", examples=["-10m", "2026-11-21T09:00:00Z"])
]
Id = Annotated[
    str,
    Meta(
        description="As in the entity's record: cluster.kind.namespace.name, escaped as in NATS subjects.",
        examples=["local.pod.shop.cart-7f"],
        max_length=1_024,
    ),
]

AfterId = Annotated[
    str, Meta(max_length=1_024, description="Only entities behind this id, in the order of ids: `next` of a page.")
]

LIMIT_MAX: Final = 10_000
SHOWN: Final = 64
"""Characters of what was found, in an error."""


class BadArgumentError(ValueError):
    """What was expected, and what was found."""


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a question takes; no field is not allowed."""


class Filters(Arguments, frozen=True, kw_only=True):
    """Which entities. All filters must fit; in names `*` is any text and `?` any character."""

    clusters: Annotated[Words, Meta(description="Names of clusters.")] = []
    kinds: Annotated[Words, Meta(description="Kinds, such as `pod,node`; plurals and kubectl's short names too.")] = []
    namespaces: Annotated[
        list[str], Meta(max_length=100, description="Names of namespaces; empty: entities without one.")
    ] = []
    names: Annotated[Words, Meta(description="Names, such as `cart-*`.")] = []
    labels: Annotated[
        str, Meta(max_length=1_000, description="A label selector as kubectl reads it: `app=cart,tier in (web,api)`.")
    ] = ""
    sources: Annotated[Words, Meta(description="Collectors, such as `k8s`.")] = []
    levels: Annotated[
        list[Level], Meta(max_length=100, description="`healthy`, `warning`, `critical`, `unknown`.")
    ] = []

    def selection(self) -> Selection:
        """What they select.

        Raises:
            BadArgumentError: a label selector or a level is not valid.
        """
        try:
            return select(
                cluster=self.clusters or None,
                kind=self.kinds or None,
                namespace=self.namespaces or None,
                name=self.names or None,
                label=self.labels or None,
                source=self.sources or None,
                level=self.levels or None,
            )
        except ValueError as error:
            raise BadArgumentError(str(error)) from None


class OneEntity(Arguments, frozen=True, kw_only=True):
    """Which entity."""

    entity_id: Id


def past(text: str, name: str, now: datetime) -> datetime | None:
    """A time that has been; None for an empty text.

    Raises:
        BadArgumentError: it is none.
    """
    try:
        return moment(text.replace(" ", "+"), now) if text else None  # in a URL `+` of a time zone reads as a space
    except ValueError as error:
        raise BadArgumentError(f"{name}: {error}") from None


def checked(name: str, given: Sequence[str], known: Sequence[str]) -> None:
    """Nothing, if all that is given is known.

    Raises:
        BadArgumentError: it is not.
    """
    if unknown := set(given) - set(known):
        raise BadArgumentError(f"expected {name} out of {', '.join(known)}, found {min(unknown)[:32]!r}")


def arguments_of(query: Mapping[str, Sequence[str]], of: type[A]) -> A:
    """Arguments as text, such as those of a URL: a list may be given as `a,b` and as `a`, `b`.

    Raises:
        BadArgumentError: one is unknown, is given twice, or is not valid.
    """
    known = {field.encode_name: field.type for field in fields(of)}
    given: dict[str, Any] = {}
    for name, values in query.items():
        _check_name(name, known)
        if _is_list(known[name]):
            given[name] = [part.strip() for value in values for part in value.split(",")]
        elif len(values) == 1:
            given[name] = values[0]
        else:
            raise BadArgumentError(f"expected {name} once, found it {len(values)} times")
    return converted(given, of, strict=False)


def converted(given: Mapping[str, Any], of: type[A], *, strict: bool = True) -> A:
    """Arguments as values, such as those of a JSON message; `strict`: numbers are no texts.

    Raises:
        BadArgumentError: one is unknown or not valid.
    """
    known = [field.encode_name for field in fields(of)]
    for name in given:
        _check_name(name, known)
    in_order = {name: given[name] for name in known if name in given}  # so that of two faults always one is named
    try:
        return msgspec.convert(in_order, of, strict=strict)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        where = f"{place.strip('.`')}: " if place else ""
        raise BadArgumentError(where + text[:1].lower() + text[1:]) from None


def _check_name(name: str, known: Collection[str]) -> None:
    if name not in known:
        raise BadArgumentError(f"expected the parameters {', '.join(sorted(known))}; found {name[:SHOWN]!r}")


def _is_list(annotation: Any) -> bool:
    """Whether a field takes several values."""
    return get_origin(getattr(annotation, "__origin__", annotation)) is list
