"""Rows of what keeps clients from their work: queries → these → `sample.PostgresSample`. Pure."""

from datetime import datetime

from msgspec import Struct


class Commit(Struct, frozen=True):
    """A session whose commit waits for a synchronous standby."""

    pid: int
    query_start: datetime | None
    query_s: float | None
    """Seconds since its statement began, of which its wait is a part."""


class Limit(Struct, frozen=True):
    """The connection limit of one database or role, and the connections that count towards it."""

    what: str
    """`database` or `role`."""
    name: str
    most: int
    used: int


class Subscription(Struct, frozen=True):
    """`pg_subscription` with its statistics."""

    oid: int
    subname: str
    is_enabled: bool
    stops_on_error: bool
    errors: int
    """Errors of its workers so far, while they applied changes or copied a table."""
    msg_age_s: float | None
    """None: no worker receives."""


class TempFiles(Struct, frozen=True):
    """`pg_ls_tmpdir` of all tablespaces: temporary files that exist now."""

    bytes: int


class ArchiveWaiting(Struct, frozen=True):
    """`pg_ls_archive_statusdir`: WAL segments that wait to be archived."""

    n: int
    segment_bytes: int
    at: datetime
