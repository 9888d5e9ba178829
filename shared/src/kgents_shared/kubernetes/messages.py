"""What is read of the answers of an API server: pages of lists, lines of watches, and the head of any object."""

from typing import Final

import msgspec

from kgents_shared.kubernetes.error import UNREADABLE
from kgents_shared.kubernetes.head import Head

NOTHING: Final = msgspec.Raw(b"{}")
_INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


class Headed(msgspec.Struct, frozen=True):
    """The head of an object."""

    metadata: Head = Head()


class Marks(msgspec.Struct, frozen=True):
    """The annotations of a bookmark."""

    annotations: dict[str, str] | None = None


class Marked(msgspec.Struct, frozen=True):
    """A bookmark."""

    metadata: Marks = Marks()


class Line(msgspec.Struct, frozen=True):
    """One line of a watch."""

    type: str
    object: msgspec.Raw = NOTHING


class PageMetadata(msgspec.Struct, rename="camel", frozen=True):
    """Which version a list shows, and where its next page begins."""

    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class Page(msgspec.Struct, frozen=True):
    """A part of a list."""

    metadata: PageMetadata
    items: list[msgspec.Raw] | None = None


def ends_initial_events(raw: msgspec.Raw) -> bool:
    """Whether a bookmark marks the end of the initial events of a watch."""
    try:
        found = msgspec.json.decode(raw, type=Marked).metadata.annotations
    except UNREADABLE:
        return False
    return (found or {}).get(_INITIAL_EVENTS_END) == "true"


def is_before(version: str, other: str) -> bool:
    """Whether a version is older; those of etcd are numbers, and of others nothing is claimed."""
    return version.isdecimal() and other.isdecimal() and int(version) < int(other)
