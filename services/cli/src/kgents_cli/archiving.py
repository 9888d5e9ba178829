"""A past state that the streams no longer hold whole, and the archive → as much of it as both know."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime

from kgents_archiver.config import Config
from kgents_archiver.store.database import ArchiveError, Database
from kgents_archiver.store.reading import Answer, state_at
from kgents_cli.installed import service_names
from kgents_cli.options import Target
from kgents_cli.output import note
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.runtime import config as configuration
from kgents_shared.view.fold import Row, is_source
from kgents_shared.view.past import Past
from kgents_shared.view.selection import Selection

SERVICE = "archiver"


def settings(target: Target) -> Config:
    """The section `archiver`.

    Raises:
        ConfigError: it cannot be used.
    """
    _, own = configuration.load(
        SERVICE, Config, path=target.config_file, environ=target.environ(), services=service_names()
    )
    return own


def completing(target: Target) -> Callable[[Past, Selection], Awaitable[Past]] | None:
    """What completes a past state; None if no archive is configured.

    Raises:
        ConfigError: the section cannot be used.
    """
    config = settings(target)
    if not config.is_configured:
        return None

    async def completed(past: Past, selection: Selection) -> Past:
        return await _completed(past, selection, config)

    return completed


async def _completed(past: Past, selection: Selection, config: Config) -> Past:
    database = Database(config, name="kgents")
    forgotten, begins = dict(past.forgotten), dict(past.begins)
    try:
        for signal in past.fold.signals:
            # None: nothing is known of this signal, so all that the archive has counts.
            wanted = None if signal in past.unknown else set(forgotten.get(signal, ()))
            if wanted is not None and not wanted:
                continue
            try:
                answer = await state_at(database, signal, past.time)
            except (ArchiveError, NotFoundError) as error:
                note(f"archive: {error}")
                continue
            _put(past, selection, signal, answer, wanted)
            _note(answer, signal, past.time)
            forgotten.pop(signal, None)
            begins.pop(signal, None)
    finally:
        await database.close()
    return Past(past.time, past.fold, forgotten, begins)


def _put(past: Past, selection: Selection, signal: str, answer: Answer, wanted: Collection[str] | None) -> None:
    test = selection.subject_test(signal)
    for each in answer.messages:
        if (wanted is None or each.subject in wanted) and (test(each.subject) or is_source(each.subject)):
            past.fold.put(Row(each.subject, each.body))


def _note(answer: Answer, signal: str, time: datetime) -> None:
    for line in answer.coverage.remarks(signal, time, time):
        note(f"archive: {line}")
