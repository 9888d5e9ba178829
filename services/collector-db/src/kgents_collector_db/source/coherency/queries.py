"""The SQL of a comparison. Names are quoted, values are parameters."""

from typing import Final

from msgspec import Struct

from kgents_collector_db.targets.coherency import CoherencyTarget

DESCRIBE: Final = """
select c.relkind::text as kind, exists (select from pg_inherits where inhparent = c.oid) as has_children,
  pg_relation_size(c.oid) as bytes, current_setting('block_size')::int8 as page_bytes,
  c.reltuples::float8 as rows_about, row_security_active(c.oid) as is_filtered,
  (select format_type(atttypid, null) from pg_attribute
    where attrelid = c.oid and attnum > 0 and not attisdropped and attname = $3) as key_type,
  (select format_type(atttypid, null) from pg_attribute
    where attrelid = c.oid and attnum > 0 and not attisdropped and attname = $4) as updated_at_type,
  (select format_type(atttypid, null) from pg_attribute
    where attrelid = c.oid and attnum > 0 and not attisdropped and attname = $5) as revision_type,
  (select format_type(atttypid, null) from pg_attribute
    where attrelid = c.oid and attnum > 0 and not attisdropped and attname = $6) as deleted_type,
  exists (select from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
    where i.indrelid = c.oid and a.attname = $3 and i.indisvalid and i.indpred is null) as is_indexed
from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2
"""
"""The table (schema, table, key, updated_at, revision, deleted): no row, if there is none of that name."""


def quoted(name: str) -> str:
    """An identifier as SQL has it, whatever characters it contains."""
    return '"' + name.replace('"', '""') + '"'


def table(target: CoherencyTarget) -> str:
    """The table's name."""
    return f"{quoted(target.schema)}.{quoted(target.table)}"


class Columns(Struct, frozen=True):
    """The types of columns that differ in how they are compared; None: no such column is configured."""

    updated_at: str | None = None
    deleted: str | None = None


def count(target: CoherencyTarget, types: Columns) -> str:
    """All rows, of a small table."""
    return f"select count(*) as rows from {table(target)} where {_is_there(target, types)}"  # noqa: S608 - quoted


def some_rows(target: CoherencyTarget, types: Columns) -> str:
    """Rows of a small table, each with a probability of $1 percent."""
    columns, sampled = _columns(target, types), f"{table(target)} tablesample bernoulli ($1)"
    return f"select {columns}, 1 as in_page from {sampled} where {_is_there(target, types)}"  # noqa: S608 - quoted


def row_of_pages(target: CoherencyTarget, types: Columns) -> str:
    """One row of each page, of $1 percent of the pages: rows of one page are neighbours, and damaged together."""
    columns, sampled = _columns(target, types), f"{table(target)} tablesample system ($1)"
    page = "(ctid::text::point)[0]::int8 as page"
    drawn = f"select {page}, {columns} from {sampled} where {_is_there(target, types)}"  # noqa: S608
    turns = "row_number() over (partition by page order by random()) as turn, count(*) over (partition by page) as n"
    return (
        f"select key, revision, is_settled, n as in_page from (select *, {turns} from ({drawn}) as drawn) as turns "  # noqa: S608
        "where turn = 1"
    )


def rows_of_keys(target: CoherencyTarget, types: Columns, key_array: str) -> str:
    """The rows with one of the keys in $1; `key_array` is the type of that array."""
    return (
        f"select {quoted(target.key)} as key, {_revision(target)} as revision from {table(target)} "  # noqa: S608
        f"where {quoted(target.key)} = any ($1::{key_array}) and {_is_there(target, types)}"
    )


def _is_there(target: CoherencyTarget, types: Columns) -> str:
    """Whether a row is not marked as deleted."""
    if target.deleted is None:
        return "true"
    return f"{quoted(target.deleted)} is {'not true' if types.deleted == 'boolean' else 'null'}"


def _columns(target: CoherencyTarget, types: Columns) -> str:
    settled = "true"
    if target.updated_at is not None:
        now = "now()" if types.updated_at == "timestamp with time zone" else "(now() at time zone 'UTC')"
        age = f"{now} - make_interval(secs => {target.settle_s!r})"
        settled = f"coalesce({quoted(target.updated_at)} < {age}, false)"
    return f"{quoted(target.key)} as key, {_revision(target)} as revision, {settled} as is_settled"


def _revision(target: CoherencyTarget) -> str:
    return "null::int8" if target.revision is None else quoted(target.revision)
