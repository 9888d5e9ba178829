"""The log of a PostgreSQL server: what of it counts, and from where it is read on."""

import os
from pathlib import Path

import pytest

from kgents_collector_db.source.postgres.server_log import READ_BYTES, ServerLog


@pytest.mark.parametrize(
    ("suffix", "line"),
    [
        (".log", "2026-01-01 00:00:00.000 UTC [1] app@shop ERROR:  division by zero"),
        (".csv", '2026-01-01 00:00:00.000 UTC,"app","shop",1,"[local]",6,1,"SELECT",2026-01-01,3/2,0,ERROR,22012,"x"'),
        (".json", '{"timestamp":"2026-01-01","error_severity":"ERROR","message":"division by zero"}'),
    ],
)
def test_log_is_counted_in_every_format_and_half_a_line_with_its_other_half(
    tmp_path: Path, suffix: str, line: str
) -> None:
    path = tmp_path / f"postgresql{suffix}"
    path.write_text(f"{line}\n" * 7)
    log = ServerLog(str(path))
    first = log.read()
    assert first is not None
    assert first.by_severity["error"] == 0
    with path.open("a") as file:
        file.write(f"{line}\n{line[:60]}")
        file.flush()
        one = log.read()
        file.write(f"{line[60:]}\n")
        file.flush()
        two = log.read()
    log.close()
    assert one is not None
    assert two is not None
    assert (one.by_severity["error"], two.by_severity["error"]) == (1, 2)


def test_log_gone_wild_is_read_in_part_and_that_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "postgresql.log"
    path.touch()
    log = ServerLog(str(tmp_path))
    log.read()
    path.write_bytes(b"x" * (3 * READ_BYTES) + b"\n 1 FATAL:  enough\n")
    found = log.read()
    log.close()
    assert found is not None
    assert found.by_severity["fatal"] == 1
    assert found.skipped_bytes > READ_BYTES


def test_only_what_a_line_is_counts_and_not_what_it_quotes(tmp_path: Path) -> None:
    path = tmp_path / "postgresql.log"
    path.touch()
    log = ServerLog(str(path))
    log.read()
    path.write_text(
        "2026-01-01 00:00:00 UTC [1] LOG:  statement: select 'ERROR:  no'\n"
        "\tFATAL:  still that statement\n"
        "2026-01-01 00:00:00 UTC [1] app@shop ERROR:  relation does not exist\n"
        "2026-01-01 00:00:00 UTC [1] app@shop STATEMENT:  select 'PANIC:  no'\n"
    )
    found = log.read()
    log.close()
    assert found is not None
    assert found.by_severity == {"warning": 0, "error": 1, "fatal": 0, "panic": 0}


def test_files_written_side_by_side_or_again_next_week_are_read_from_where_they_ended(tmp_path: Path) -> None:
    error = "2026-01-01 00:00:00 UTC [1] ERROR:  no\n"
    monday, tuesday = tmp_path / "postgresql-Mon.log", tmp_path / "postgresql-Tue.log"
    for path in (monday, tuesday):
        path.write_text(error * 5)
    log = ServerLog(str(tmp_path))
    counted = []
    for turn, path in enumerate((monday, tuesday, monday, tuesday, tuesday)):
        with path.open("a") as file:
            file.write(error * turn)
        os.utime(path, (turn, 2e9 + turn))
        found = log.read()
        assert found is not None
        counted.append(found.by_severity["error"])
    log.close()
    assert counted == [0, 1, 3, 6, 10]
