"""`kgents archive forget`: what the archive holds of a namespace, or of a person's writes → removed, and recorded."""

import asyncio

import click

from kgents_archiver.store.database import Database, required
from kgents_archiver.store.forgetting import Found, Wanted, find, forget
from kgents_cli.archiving import settings
from kgents_cli.auditing.recording import recorded, written
from kgents_cli.options import Target, target_options
from kgents_cli.output import NEUTRAL, OK, note, say
from kgents_shared.bus.jetstream import rfc3339
from kgents_shared.contract.audit import FORGET, AuditRecord
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.view.moment import moment

_ELSEWHERE = (
    "Not reached: what the streams and their copies still hold (it is archived again if a stream is restored or made "
    "again: forget it again then), messages of other entities that name it, dictionaries of the archive (32 kB of each "
    "signal), backups and replicas of PostgreSQL, files that were exported."
)


@click.command("forget")
@click.option("--namespace", "-n", default="", metavar="NAME", help="Everything of the entities of this namespace.")
@click.option("--who", default="", metavar="NAME", help="The content of what this person wrote, in the audit trail.")
@click.option(
    "--before", required=True, metavar="TIME", help="Only what was stored before: 2026-11-01T00:00:00Z, -30d."
)
@click.option("--yes", is_flag=True, help="Do it; without this it is only said what would be removed.")
@target_options
def command(namespace: str, who: str, before: str, yes: bool, target: Target) -> None:
    """Remove from the archive what it holds of a namespace, or what a person wrote, of before a time.

    Of a namespace go versions, health, alerts, events, figures, the incidents that it caused, and the names of what has
    nothing left. What is still so at that time stays, so that later moments are answered as before. Answers about
    earlier ones say that something was forgotten.

    Of the audit trail a record keeps its number, time, action and hash, and loses its content: `kgents audit verify`
    still holds, and names a record whose content is gone for another reason. That something was forgotten is recorded.

    \b
    Examples:
      kgents archive forget --namespace shop --before 2026-11-01T00:00:00Z --config kgents.yaml
      kgents archive forget --who ada --before -90d --yes --config kgents.yaml
    """  # noqa: D301
    if bool(namespace) == bool(who):
        raise click.UsageError("expected one of --namespace and --who")
    try:
        time = moment(before, SystemClock().now())
    except ValueError as error:
        raise click.UsageError(f"--before: {error}") from None
    asyncio.run(_forget(target, Wanted(time, namespace, target.cluster or "", who), yes=yes))


async def _forget(target: Target, wanted: Wanted, *, yes: bool) -> None:
    database = Database(required(settings(target)), name="kgents archive forget")
    try:
        found = await find(database, wanted)
        if not (found.entries or found.records):
            note("nothing is archived of it before that time")
            return
        if not yes:
            say(f"{NEUTRAL} would forget {_counted(found.entries, len(found.records))}; try: --yes")
            note(_ELSEWHERE)
            return
        common = target.load()
        async with recorded(common, _record(common.cluster, wanted, found)):
            removed = await forget(database, wanted, found)
    finally:
        await database.close()
    say(f"{OK} forgot {_counted(removed, len(found.records))}")
    note(_ELSEWHERE)


def _record(cluster: str, wanted: Wanted, found: Found) -> AuditRecord:
    """Without the name of a person: it is what is to be forgotten."""
    what = f"namespace {wanted.namespace}" if wanted.namespace else "records of a person"
    after = {"before": rfc3339(wanted.before), "entries": found.entries, "audit_records": found.records}
    return written(cluster, FORGET, what, after=after)


def _counted(entries: int, records: int) -> str:
    if records:
        return f"the content of {records:,} record{'s' if records != 1 else ''} of the audit trail"
    return f"{entries:,} entr{'ies' if entries != 1 else 'y'}"
