"""A time on the command line that may be yet to come → a moment. Pure."""

from datetime import UTC, datetime

import click

from kgents_shared.view.moment import moment


def any_moment(flag: str, text: str, now: datetime) -> datetime:
    """A moment, given as RFC 3339 with a zone, or as so long ago (`-10m`).

    Raises:
        UsageError: it is none.
    """
    try:
        then = None if text.startswith("-") else datetime.fromisoformat(text)
        if then is not None and then.tzinfo is not None:
            return then.astimezone(UTC)
        return moment(text, now)
    except ValueError as error:
        raise click.UsageError(f"{flag}: {error}") from None
