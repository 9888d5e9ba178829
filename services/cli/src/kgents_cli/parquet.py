"""`kgents archive export`: messages of the archive → a Parquet file for analysts, page by page."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
import msgspec

from kgents_cli.connection import connected
from kgents_cli.options import Target, target_options
from kgents_cli.output import OK, note, say
from kgents_cli.rows import PLACES, WORDS, row
from kgents_shared.contract import subjects
from kgents_shared.contract.archive import Coverage, Page, VersionsRequest
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.streams import COPIED
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.archive import version_pages
from kgents_shared.view.moment import moment

SIGNALS: Final = (*COPIED, "event")
MODE: Final = 0o640
"""Of the file: it has what the archive has."""


@click.command("export")
@click.argument("signal", type=click.Choice(SIGNALS))
@click.option(
    "--parquet",
    "file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file; it must be new.",
)
@click.option("--since", default="-24h", show_default=True, metavar="TIME", help="2026-11-01T00:00:00Z, -30d.")
@click.option("--until", default="-0s", metavar="TIME", help="As --since; without it, now.")
@target_options
def command(signal: str, file: Path, since: str, until: str, target: Target) -> None:
    """Write what the archive holds of a signal to a Parquet file: a row for each message that was published then.

    Columns are when it was stored (UTC, microseconds), its sequence, which entity, what analysts select by, and the
    message itself as JSON. What a message does not say is null, and so is the score of an unknown health. What the
    archive lacks of that time is said on stderr, and is in the metadata of the file (`kgents.remarks`).

    It asks the archiver over NATS and needs no login to PostgreSQL. It needs the extra `parquet`: pip install
    'kgents-cli[parquet]'

    \b
    Examples:
      kgents archive export health --since -30d --parquet health.parquet
      kgents archive export topology --since 2026-11-01T00:00:00Z --until 2026-11-02T00:00:00Z --parquet day.parquet
      duckdb -c "select namespace, avg(score) from 'health.parquet' group by 1"
    """  # noqa: D301
    if find_spec("pyarrow") is None:
        raise KgentsError("expected pyarrow, which writes Parquet, found none; pip install 'kgents-cli[parquet]'")
    now = SystemClock().now()
    try:
        first, last = moment(since, now), moment(until, now)
    except ValueError as error:
        raise click.UsageError(f"--since, --until: {error}") from None
    if first >= last:
        raise click.UsageError(f"expected --since before --until, found {since} and {until}")
    filters = (subjects.pattern(signal, cluster=target.cluster),) if target.cluster else ()
    request = VersionsRequest(signal=signal, since=first, until=last, filters=filters)
    count, remarks = asyncio.run(_export(target.load(), request, file))
    say(f"{OK} {file}: {count:,} messages of {signal}")
    for remark in remarks:
        note(remark)


async def _export(common: CommonConfig, request: VersionsRequest, file: Path) -> tuple[int, list[str]]:
    async with connected(common) as bus, aclosing(version_pages(bus, request)) as pages:
        try:
            opened = os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb")
        except OSError as error:
            raise KgentsError(f"expected to make {file}, found: {error.strerror}; try: another name") from error
        try:
            with opened:
                return await _write(opened, request, pages)
        except BaseException as error:  # also Ctrl-C: half a file looks like a whole one
            os.unlink(file)  # noqa: PTH108 - a path's own method is taken for one that waits
            if isinstance(error, OSError):
                raise KgentsError(f"expected to write {file}, found: {error.strerror or error}") from error
            raise


async def _write(
    opened: BinaryIO, request: VersionsRequest, pages: AsyncGenerator[Page, None]
) -> tuple[int, list[str]]:
    from pyarrow import Table  # type: ignore[import-untyped] # noqa: PLC0415 - large, and an extra
    from pyarrow.parquet import ParquetWriter  # type: ignore[import-untyped] # noqa: PLC0415

    schema, count, coverage = _schema(), 0, None
    with ParquetWriter(opened, schema, compression="zstd") as writer:
        async for page in pages:
            rows = [row(request.signal, each) for each in page.messages]
            if rows:
                writer.write_table(Table.from_pylist(rows, schema=schema))
            count += len(rows)
            coverage = page.coverage if coverage is None else coverage.joined(page.coverage)
        remarks = _remarks(coverage, request.since, request.until)
        writer.add_key_value_metadata({"kgents.remarks": msgspec.json.encode(remarks).decode()})
    return count, remarks


def _remarks(coverage: Coverage | None, since: datetime, until: datetime) -> list[str]:
    return coverage.remarks(since, until) if coverage is not None else []


def _schema() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - large, and an extra

    places, words = ([(name, pa.string()) for name in names] for names in (PLACES, WORDS))
    stored = [("signal", pa.string()), ("at", pa.timestamp("us", tz="UTC")), ("seq", pa.int64())]
    said = [("is_removed", pa.bool_()), *words, ("score", pa.float64()), ("body", pa.string())]
    return pa.schema([*stored, *places, *said])
