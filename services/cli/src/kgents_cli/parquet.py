"""`kgents archive export`: messages of the archive → a Parquet file for analysts, page by page."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
import msgspec
from msgspec.structs import replace

from kgents_cli.connection import connected
from kgents_cli.options import Target, target_options
from kgents_cli.output import OK, note, say
from kgents_cli.rows import FIGURE_PLACES, PLACES, WORDS, figure_row, row
from kgents_shared.bus.client import Bus
from kgents_shared.contract import subjects
from kgents_shared.contract.archive import Coverage, FiguresRequest, VersionsRequest
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.streams import COPIED
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.archive import figure_pages, version_pages
from kgents_shared.view.moment import moment

SIGNALS: Final = (*COPIED, "event")
STEPS: Final = {"minutes": ("1m", timedelta(minutes=1)), "hours": ("1h", timedelta(hours=1))}
"""What is kept of figures, and how it is asked for: all of one moment at a time, so that no answer is of too many."""
_Rows = tuple[list[dict[str, Any]], Coverage]
MODE: Final = 0o640
"""Of the file: it has what the archive has."""


@click.command("export")
@click.argument("signal", type=click.Choice((*SIGNALS, *STEPS)))
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

    Of `minutes` and `hours`, a row for each figure of each entity: how many numbers there were, how often it was not
    known (`nulls`), min, max, mean, last, and how much a counter grew. With no number at all they are null.

    Columns are when it was stored (UTC, microseconds), its sequence, which entity, what analysts select by, and the
    message itself as JSON. What a message does not say is null, and so is the score of an unknown health. What the
    archive lacks of that time is said on stderr, and is in the metadata of the file (`kgents.remarks`).

    It asks the archiver over NATS and needs no login to PostgreSQL. It needs the extra `parquet`: pip install
    'kgents-cli[parquet]'

    \b
    Examples:
      kgents archive export health --since -30d --parquet health.parquet
      kgents archive export topology --since 2026-11-01T00:00:00Z --until 2026-11-02T00:00:00Z --parquet day.parquet
      kgents archive export hours --since -30d --parquet figures.parquet --cluster prod
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
    of = "pulse" if signal in STEPS else signal
    filters = (subjects.pattern(of, cluster=target.cluster),) if target.cluster else ()
    request = VersionsRequest(signal=signal, since=first, until=last, filters=filters)
    count, remarks = asyncio.run(_export(target.load(), request, file))
    say(f"{OK} {file}: {count:,} " + (f"{signal} of figures" if signal in STEPS else f"messages of {signal}"))
    for remark in remarks:
        note(remark)


async def _export(common: CommonConfig, request: VersionsRequest, file: Path) -> tuple[int, list[str]]:
    async with connected(common) as bus, aclosing(_pages(bus, request)) as pages:
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
    opened: BinaryIO, request: VersionsRequest, pages: AsyncGenerator[_Rows, None]
) -> tuple[int, list[str]]:
    from pyarrow import Table  # type: ignore[import-untyped] # noqa: PLC0415 - large, and an extra
    from pyarrow.parquet import ParquetWriter  # type: ignore[import-untyped] # noqa: PLC0415

    schema, count, coverage = _figure_schema() if request.signal in STEPS else _schema(), 0, None
    with ParquetWriter(opened, schema, compression="zstd") as writer:
        async for rows, known in pages:
            if rows:
                writer.write_table(Table.from_pylist(rows, schema=schema))
            count += len(rows)
            coverage = known if coverage is None else coverage.joined(known)
        remarks = _remarks(coverage, request.since, request.until)
        writer.add_key_value_metadata({"kgents.remarks": msgspec.json.encode(remarks).decode()})
    return count, remarks


async def _pages(bus: Bus, request: VersionsRequest) -> AsyncGenerator[_Rows, None]:
    """Rows, and what the archive knows of their time."""
    if request.signal not in STEPS:
        async with aclosing(version_pages(bus, request)) as pages:
            async for page in pages:
                yield [row(request.signal, each) for each in page.messages], page.coverage
        return
    step, length = STEPS[request.signal]
    # What is missing is counted once for the whole time: of no entity, since a page is of one moment.
    none = (*request.filters, subjects.pattern("pulse"))[0].replace(".*.*.*.*", "._._._._")
    whole = FiguresRequest(since=request.since, until=request.until, filters=(none,), step=step)
    async with aclosing(figure_pages(bus, whole)) as pages_of_none:
        async for nothing in pages_of_none:
            yield [], nothing.coverage
    at = request.since.replace(minute=0 if step == "1h" else request.since.minute, second=0, microsecond=0)
    while at <= request.until:
        moment_of = FiguresRequest(since=at, until=at, filters=request.filters, step=step)
        async with aclosing(figure_pages(bus, moment_of)) as figures:
            async for found in figures:
                yield [figure_row(each) for each in found.figures], replace(found.coverage, missing=0, unread=0)
        at += length


def _remarks(coverage: Coverage | None, since: datetime, until: datetime) -> list[str]:
    return coverage.remarks(since, until) if coverage is not None else []


def _figure_schema() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - large, and an extra

    places = [(name, pa.string()) for name in ("subject", *FIGURE_PLACES, "figure")]
    counts = [("n", pa.int64()), ("nulls", pa.int64())]
    values = [(name, pa.float64()) for name in ("min", "max", "mean", "last", "increase")]
    return pa.schema([("at", pa.timestamp("us", tz="UTC")), *places, *counts, *values])


def _schema() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - large, and an extra

    places, words = ([(name, pa.string()) for name in names] for names in (PLACES, WORDS))
    stored = [("signal", pa.string()), ("at", pa.timestamp("us", tz="UTC")), ("seq", pa.int64())]
    said = [("is_removed", pa.bool_()), *words, ("score", pa.float64()), ("body", pa.string())]
    return pa.schema([*stored, *places, *said])
