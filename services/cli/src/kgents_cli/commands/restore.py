"""`kgents restore`: what `kgents backup` has made → the streams on a server, compared with the manifest."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path, PurePosixPath
from typing import Final

import click

from kgents_cli import backup_files
from kgents_cli.auditing.recording import written
from kgents_cli.backup_files import CopiedStream
from kgents_cli.backup_place import fetch, place_argument
from kgents_cli.connection import connected
from kgents_cli.object_storage import Place, Storage
from kgents_cli.options import Target, target_options
from kgents_cli.output import WARNING, note, say
from kgents_shared.bus.audit import audited
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import StreamInfo, find_stream
from kgents_shared.bus.session import Session
from kgents_shared.bus.snapshot import delete_stream, restore
from kgents_shared.contract.audit import RESTORE, AuditRecord
from kgents_shared.contract.errors import BusError, KgentsError, NotFoundError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.config import CommonConfig

TRAIL: Final = NAME_BY_SIGNAL["audit"]


@click.command("restore")
@click.argument("place", callback=place_argument, metavar="PLACE")
@click.option("--stream", "names", multiple=True, metavar="NAME", help="Only this stream; may be repeated.")
@click.option("--replace", is_flag=True, help="Remove streams that exist, with all they hold, and restore them.")
@click.option("--dry-run", is_flag=True, help="Only check the backup, and print what would be done.")
@target_options
def command(place: Path | Place, names: tuple[str, ...], replace: bool, dry_run: bool, target: Target) -> None:
    """Restore the streams that PLACE holds, a directory or s3://BUCKET/PREFIX, as `kgents backup` made it.

    The audit trail is restored where there is none, and never replaced.

    First every file is compared with its digest; nothing is changed if one differs, or if a stream exists and
    --replace is not given. Services may run: they notice that their streams went back, and publish again what has
    changed since. Run `kgents provision` afterwards: it makes what was not copied.

    \b
    Examples:
      kgents restore /backup/2026-11-29 --dry-run
      kgents restore /backup/2026-11-29 --replace
      kgents restore s3://backups/kgents/2026-11-29 --dry-run
    """  # noqa: D301
    common = target.load()
    if isinstance(place, Path):
        asyncio.run(_restore(common, place, str(place), names, replace=replace, dry_run=dry_run))
        return
    with tempfile.TemporaryDirectory(prefix="kgents-restore-") as directory:
        fetch(Storage(place, common.backup), Path(directory))
        asyncio.run(_restore(common, Path(directory), str(place), names, replace=replace, dry_run=dry_run))


async def _restore(
    common: CommonConfig, directory: Path, place: str, names: Sequence[str], *, replace: bool, dry_run: bool
) -> None:
    manifest = await asyncio.to_thread(backup_files.read, directory)
    chosen = [each for each in manifest.streams if not names or each.stream in names]
    if missing := set(names) - {each.stream for each in chosen}:
        known = ", ".join(each.stream for each in manifest.streams)
        raise NotFoundError(f"the backup has no {', '.join(sorted(missing))}; it has: {known}")
    async with connected(common) as bus:
        session = await bus.session()
        existing = [each.stream for each in chosen if await find_stream(session, each.stream) is not None]
        if set(existing) - {TRAIL} and not replace and not dry_run:
            raise KgentsError(
                f"expected no stream of these names, found {', '.join(existing)}; nothing was changed; try: --replace, "
                "which removes them with all they hold"
            )
        chosen = _first(chosen, keeps_trail=TRAIL in existing, is_named=TRAIL in names)
        if dry_run:
            for each in chosen:
                doing = "replace" if each.stream in existing else "create"
                say(f"would {doing} {each.stream}: {each.messages:,} messages of {manifest.made_at:%Y-%m-%d %H:%M} UTC")
            return
        if chosen and chosen[0].stream == TRAIL:
            say(await _restored(session, directory, chosen.pop(0), is_there=False))
        after = {
            "directory": place, "made_at": manifest.made_at,
            "streams": {each.stream: each.messages for each in chosen},
        }  # fmt: skip
        record = written(
            common.cluster, RESTORE, f"backup {PurePosixPath(place).name}", before={"existing": existing}, after=after
        )
        async with await _recorded(bus, record):
            for each in chosen:
                say(await _restored(session, directory, each, is_there=each.stream in existing))
    note("try: kgents provision, then kgents doctor")


def _first(chosen: list[CopiedStream], *, keeps_trail: bool, is_named: bool) -> list[CopiedStream]:
    """The audit trail first, so that the rest can be recorded in it. One that is there is never replaced."""
    if keeps_trail and is_named:
        raise KgentsError(f"expected no {TRAIL}, found one, which is never replaced; try: leave it out")
    trail = [each for each in chosen if each.stream == TRAIL]
    if trail and keeps_trail:
        note(f"{TRAIL} is kept as it is: what was recorded since the backup stays")
        trail = []
    return [*trail, *(each for each in chosen if each.stream != TRAIL)]


async def _recorded(bus: Bus, record: AuditRecord) -> AbstractAsyncContextManager[object]:
    """What records it; of a backup without an audit trail, on a server without one, nothing can."""
    if await find_stream(await bus.session(), TRAIL) is None:
        note(f"{WARNING} not in the audit trail: there is no {TRAIL}")
        return nullcontext()
    return audited(bus, record)


async def _restored(session: Session, directory: Path, stream: CopiedStream, *, is_there: bool) -> str:
    try:
        if is_there:
            await delete_stream(session, stream.stream)
        chunks = backup_files.chunks_of(directory / stream.file)
        found = await restore(session, stream.stream, stream.copied, chunks)
    except BusError as error:
        raise KgentsError(f"{stream.stream} is not restored: {error}; fix that, then run the same again") from error
    if faults := list(_differences(stream, found)):
        raise KgentsError(f"{stream.stream} is restored, and differs from the backup: {'; '.join(faults)}")
    return f"restored {stream.stream}: {found.state.messages:,} messages"


def _differences(stream: CopiedStream, found: StreamInfo) -> Iterator[str]:
    """What should be as it was. Messages that have expired since are gone at once."""
    expected, state = stream.state, found.state
    if state.last_seq != expected["last_seq"]:
        yield f"expected the last sequence {expected['last_seq']}, found {state.last_seq}"
    may_expire = bool(stream.config.get("max_age") or stream.config.get("allow_msg_ttl"))
    if state.messages != expected["messages"] and not (may_expire and state.messages < expected["messages"]):
        yield f"expected {expected['messages']} messages, found {state.messages}"
