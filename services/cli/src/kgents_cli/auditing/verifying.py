"""`kgents audit verify`: the chain of the archive or of a file, and what is kept elsewhere → whether it holds."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from kgents_archiver.chain import Check, Fault, Head, Link
from kgents_archiver.store.database import Database, required
from kgents_archiver.store.trail import life_of, links
from kgents_cli.archiving import settings
from kgents_cli.auditing.exported import checked
from kgents_cli.auditing.trail import Stored, stored
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import OK, WRONG, note, say, say_record
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract.audit import ANCHOR
from kgents_shared.contract.codec import AUDIT
from kgents_shared.contract.errors import MalformedMessageError


class _Anchor(msgspec.Struct):
    n: int
    hash: str


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
@click.option("--head", "given", metavar="N:HASH", help="A head that you kept: the chain must have it.")
@output_option("text", "json")
@target_options
def verify(file: Path | None, given: str | None, output: str, target: Target) -> int:
    """Verify that no record of the audit trail was changed, removed, added, or moved, and that its end was not cut.

    Without FILE: the archive in PostgreSQL. It is compared with the stream, which holds the records of the last months
    and, as anchors, how far the chain was. With FILE, of `kgents audit export`: its lines alone, and the head that you
    kept. Without one, a file that was made again as a whole is not noticed.

    The exit code is 1 if anything is wrong. The first record of which that is so is named.

    \b
    Examples:
      kgents audit verify --config kgents.yaml
      kgents audit verify audit.jsonl --head 1204:9b74c9897bac770ffc029102a200c5de…
    """  # noqa: D301
    heads = [_head(given)] if given is not None else []
    if file is not None:
        with file.open("rb") as opened:
            check = checked(opened, heads)
        compared = "the head that you kept" if heads else "nothing else: keep a head, and give it with --head"
    else:
        check, compared = asyncio.run(_archived(target, heads))
    return _show(check, compared, output)


def _head(text: str) -> Head:
    n, _, hash_ = text.partition(":")
    if not n.isdecimal() or len(hash_) != 64:
        raise click.UsageError(f"--head: expected N:HASH as `kgents audit export` prints it, found {text!r}")
    return Head(int(n), hash_.lower(), "the head that you kept")


async def _archived(target: Target, heads: list[Head]) -> tuple[Check, str]:
    database = Database(required(settings(target)), name="kgents audit verify")
    async with connected(target.load()) as bus:
        await require(bus, [STREAMS["audit"]])
        try:
            life = await life_of(database, STREAMS["audit"].name)  # first: what is archived later is not missed
            kept = await stored(bus)
            created = (await stream_info(await bus.session(), STREAMS["audit"].name)).created
            anchors = [*_anchors(kept)]
            check = Check([*heads, *anchors])
            for each in kept:  # the record that something was forgotten may not be archived yet
                check.explain(each.subject, each.payload)
            found: dict[int, Link] = {}
            async for link in links(database):
                if not check.take(link):
                    return check, ""
                if life is not None and link.stored.life == life[0]:
                    found[link.stored.seq] = link
            check.end()
        finally:
            await database.close()
    is_same_life = life is not None and life[1] == created
    archived = [each for each in kept if life is not None and each.seq <= life[2]] if is_same_life else []
    if not check.faults:
        check.faults += _differences(check.count, archived, found)
    parts = [f"{len(archived)} records of the stream", f"{len(anchors)} anchors"]
    if len(archived) < len(kept):
        parts.append(f"{len(kept) - len(archived)} are not archived yet")
    return check, ", ".join([*parts, *(["the head that you kept"] if heads else [])])


def _anchors(kept: Sequence[Stored]) -> list[Head]:
    found = []
    for each in kept:
        if each.subject.endswith(f".{ANCHOR}"):
            try:
                record = AUDIT.decode(each.payload, subject=each.subject)
                head = msgspec.convert(record.after, _Anchor)
            except (MalformedMessageError, msgspec.ValidationError):
                continue
            found.append(Head(head.n, head.hash, f"the anchor of {each.at:%Y-%m-%dT%H:%M:%SZ}"))
    return found


def _differences(count: int, archived: Sequence[Stored], found: dict[int, Link]) -> list[Fault]:
    """What the stream still holds and the archive should have, and has not so."""
    for each in archived:
        link = found.get(each.seq)
        digest = hashlib.sha256(each.payload).digest()
        if link is None or (link.stored.subject, link.stored.at, link.stored.body_sha256) != (
            each.subject, each.at, digest,
        ):  # fmt: skip
            return [Fault(count + 1, f"the stream holds record {each.seq}, and the archive does not hold it so")]
    return []


def _show(check: Check, compared: str, output: str) -> int:
    last = check.last
    head = str(Head(last.n, last.hash.hex())) if last is not None else ""
    if output == "json":
        record = {"records": check.count, "head": head, "compared_with": compared, "faults": check.faults}
        say_record(msgspec.json.encode(record))
    elif check.faults:
        for each in check.faults:
            say(f"{WRONG} {each}")
    else:
        say(f"{OK} {check.count} records, whole and in order; compared with {compared}")
        if check.forgotten:
            note(f"the content of {len(check.forgotten)} of them was forgotten, as records say; their hashes hold")
        note(f"head: {head or 'none'}")
    return 1 if check.faults else 0
