"""What the archive is asked, and what it answers: the archiver and its readers share this. Pure.

A request is a JSON object on `world.archive.<question>.<cluster>`, where the cluster is `_` for several or all: so a
login may be held to the archive of one cluster. An answer is a `Page` as compressed MessagePack, since
bodies are bytes and much alike. Who wants plain JSON asks the gateway, which asks the archive where it has to.
"""

from datetime import datetime
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from kgents_shared.contract.subjects import ARCHIVE, EMPTY, ROOT

STATE: Final = f"{ARCHIVE}.state"
"""`StateRequest` → what each subject said last until a moment."""
VERSIONS: Final = f"{ARCHIVE}.versions"
"""`VersionsRequest` → the messages of a stretch of time."""

FIGURES: Final = f"{ARCHIVE}.figures"
"""`FiguresRequest` → what is kept of figures, by minutes or hours."""

ANSWER_S: Final = 20.0
"""For one page; what takes longer is given up by the archiver."""
PAGE_MAX: Final = 4_000
"""Messages in one page: some 5 MB before they are compressed."""
FILTERS_MAX: Final = 128
"""Filters in one request."""
GAPS_MAX: Final = 200
"""Gaps that an answer names, the newest; `missing` counts the messages of all."""

_TIME: Final = "%Y-%m-%d %H:%M:%SZ"

Filters = Annotated[tuple[str, ...], Meta(max_length=FILTERS_MAX)]
Moment = Annotated[datetime, Meta(tz=True)]
Limit = Annotated[int, Meta(ge=1, le=PAGE_MAX)]


class StateRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state of a signal at a moment, in the order of subjects."""

    signal: str
    at: Moment
    filters: Filters = ()
    """NATS filters; none: everything."""
    after: str = ""
    """`next` of the page before."""
    limit: Limit = PAGE_MAX


class VersionsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The messages of a signal that were stored in a stretch of time, both ends included, in their order."""

    signal: str
    since: Moment
    until: Moment
    filters: Filters = ()
    newest_first: bool = False
    after: str = ""
    """`next` of the page before."""
    limit: Limit = PAGE_MAX


class FiguresRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of figures in a stretch of time, the newest first."""

    signal: str = "pulse"
    """`pulse`, or `traffic`: of each application and peer, see `contract.traffic`."""
    since: Moment
    until: Moment
    filters: Filters = ()
    """NATS filters of pulses; none, or one of all, is possible for at most an hour."""
    figures: tuple[str, ...] = ()
    """Names; none: all."""
    step: str = "1m"
    """`1m` or `1h`."""
    is_whole: bool = False
    """One value of each figure for the whole time instead, made of these steps; its `at` is `since`."""
    after: str = ""
    """`next` of the page before."""
    limit: Limit = PAGE_MAX


Request = StateRequest | VersionsRequest | FiguresRequest
R = TypeVar("R", StateRequest, VersionsRequest, FiguresRequest)


def asked_on(question: str, request: Request) -> str:
    """The subject of a request: that of the one cluster that it is about, if it is."""
    clusters = {_cluster_of(each) for each in request.filters}
    cluster = clusters.pop() if len(clusters) == 1 else "*"
    return f"{question}.{EMPTY if cluster in '*>' else cluster}"


def within(subject: str, request: R) -> R:
    """The request as it may be answered on this subject.

    Raises:
        ValueError: it asks for another cluster; the text says which was expected.
    """
    cluster = subject.rpartition(".")[2]
    if cluster == EMPTY:
        return request
    if not request.filters:
        return msgspec.structs.replace(request, filters=(f"{ROOT}.{request.signal}.{cluster}.>",))
    for each in request.filters:
        if _cluster_of(each) != cluster:
            raise ValueError(f"expected filters of the cluster {cluster} on {subject}, found {each[:64]!r}")
    return request


def _cluster_of(filter_: str) -> str:
    return (*filter_.split("."), "*", "*", "*")[2]


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A message of the archive."""

    subject: str
    seq: int
    """In its stream, of which there may have been several."""
    at: datetime
    """When its stream stored it, rounded down to microseconds."""
    is_gone: bool
    """Whether it says that there is nothing of this subject any more."""
    body: bytes
    """As it was published."""


class Gap(msgspec.Struct, frozen=True):
    """A stretch of time of which not every message was read."""

    since: datetime
    until: datetime


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What the archive knows of a moment or a stretch of time: without this, an answer would be silent on its gaps."""

    signal: str
    since: datetime
    """It reaches back to here. Of before, it has only what the stream still held when it began, if anything."""
    until: datetime
    """Everything that the stream stored until then is read."""
    missing: int = 0
    """Messages that were gone before they were read, and may have counted then."""
    unread: int = 0
    """How often it was read from its beginning again then, see `ended`."""
    gaps: list[Gap] = []
    """When the `missing` messages were stored, oldest first. A stream drops the oldest versions of a subject: of one
    with fewer messages since a gap began than the stream keeps of it, nothing is missing."""
    ended: list[Gap] = []
    """When its stream was made again, went back, or was not read for longer than it remembers what is removed. What it
    stored then is not known of any subject; what was not there afterwards is gone."""
    damaged: int = 0
    """Messages that are left out since they cannot be unpacked, or are too large for an answer."""
    forgotten: datetime | None = None
    """Of before this something was removed on request (`kgents archive forget`), if that is in the time asked about."""

    def remarks(self, since: datetime, until: datetime) -> list[str]:
        """What an answer about this time lacks, as sentences; mostly none."""
        found = []
        if since < self.since:
            found.append(f"{self.signal}: the archive reaches back to {self.since:{_TIME}}; before, not all is known")
        if until > self.until:
            found.append(f"{self.signal}: archived until {self.until:{_TIME}}; what followed is not known here")
        if self.missing:
            found.append(f"{self.signal}: {_counted(self.missing)} gone before they could be archived")
        if self.unread:
            why = "made again, went back, or was not read for too long"
            found.append(f"{self.signal}: its stream was {why} then; what it stored just before is not known")
        if self.damaged:
            found.append(f"{self.signal}: {_counted(self.damaged)} damaged or too large, and left out")
        if self.forgotten is not None:
            found.append(f"{self.signal}: something of before {self.forgotten:{_TIME}} was forgotten on request")
        return found

    def is_whole_at(self, time: datetime) -> bool:
        """Whether what the archive does not hold of a moment was not there."""
        return not self.remarks(time, time)

    def joined(self, other: "Coverage") -> "Coverage":
        """Of two pages of one answer."""
        return msgspec.structs.replace(
            self,
            since=max(self.since, other.since),
            until=min(self.until, other.until),
            missing=max(self.missing, other.missing),
            unread=max(self.unread, other.unread),
            damaged=self.damaged + other.damaged,
        )


class Page(msgspec.Struct, frozen=True):
    """A part of an answer."""

    messages: list[Stored]
    coverage: Coverage
    """Of the whole answer, but that `damaged` is of this page."""
    next: str
    """`after` of the next page; empty: this is the last one."""


class Rolled(msgspec.Struct, frozen=True, gc=False):
    """What is kept of one figure of a minute, or an hour."""

    subject: str
    """Of its pulses: the entity, and the source."""
    figure: str
    at: datetime
    """When the minute begins, or the hour."""
    n: int
    """Numbers."""
    nulls: int
    """How often it applied and was not known. With no number at all the figure is not known then: it is no zero."""
    min: float | None
    max: float | None
    mean: float | None
    last: float | None
    increase: float | None
    """How much a counter grew, over its resets; None: it is a gauge, or no sample came before."""


class FiguresPage(msgspec.Struct, frozen=True):
    """A part of an answer."""

    figures: list[Rolled]
    coverage: Coverage
    """Of the whole answer."""
    next: str
    """`after` of the next page; empty: this is the last one."""


def _counted(messages: int) -> str:
    return "1 message was" if messages == 1 else f"{messages:,} messages were"
