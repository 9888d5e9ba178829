"""`PYTHONPATH=tools python -m reference`: documents → files of this checkout. With `--check`: both → exit code."""

import difflib
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import click

from observability.files import FILES
from reference import runbook
from reference.documents import DOCUMENTS

FOLDER: Final = Path(__file__).parents[2] / "docs" / "reference"
"""Of the checkout this module is part of."""
OBSERVABILITY: Final = FOLDER.parents[1] / "deploy" / "observability"
RUNBOOK: Final = FOLDER.with_name("runbook")
_EXCERPT_LINES: Final = 20
"""Lines of the difference that are printed."""


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 when a file differs.")
def main(*, check: bool) -> None:
    """Write docs/reference from the code, the generated part of docs/runbook, and what Prometheus and Grafana read."""
    wanted = {FOLDER / path: generate() for path, generate in DOCUMENTS.items()} | _runbook()
    wanted |= {OBSERVABILITY / path: generate() for path, generate in FILES.items()}
    if check:
        stale = [line for path, text in wanted.items() for line in _difference(path, text)]
        if stale:
            click.echo("\n".join([*stale, "docs differ from the code: run `make fix`"]), err=True)
            sys.exit(1)
        return
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _runbook() -> dict[Path, str]:
    """Its pages, with the hand-written part of each as it is."""
    paths = {RUNBOOK / runbook.name_of(check): check for check in runbook.CHECKS}
    found = {path: path.read_text(encoding="utf-8") if path.exists() else "" for path in paths}
    pages = {path: runbook.renewed(check, found[path]) for path, check in paths.items()}
    return {RUNBOOK / "README.md": runbook.index(), **pages}


def _difference(path: Path, wanted: str) -> Iterator[str]:
    """The beginning of what would change in a file."""
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    name = path.relative_to(FOLDER.parents[1])
    lines = difflib.unified_diff(
        found.splitlines(), wanted.splitlines(), f"{name} (found)", f"{name} (expected)", lineterm=""
    )
    return islice(lines, _EXCERPT_LINES)


if __name__ == "__main__":
    main()
