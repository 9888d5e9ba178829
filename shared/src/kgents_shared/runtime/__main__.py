"""`python -m kgents_shared.runtime`: the one service that is installed → `process.serve`. What an image runs.

`kgents run` does the same where several are installed; its package would bring what other commands need.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from kgents_shared.runtime.config import process_environ
from kgents_shared.runtime.layers import FILE_VARIABLE
from kgents_shared.runtime.process import EXIT_CONFIG, serve

GROUP: Final = "kgents.services"


def main(arguments: Sequence[str]) -> int:
    """Run until a signal says stop; returns the process's exit code."""
    environ = process_environ()
    parser = argparse.ArgumentParser(
        prog="python -m kgents_shared.runtime", description="Run the service that is here."
    )
    parser.add_argument("service", nargs="?", help="its name, where several are installed")
    parser.add_argument("--config", type=Path, default=environ.get(FILE_VARIABLE) or None, metavar="FILE")
    given = parser.parse_args(arguments)
    found = entry_points(group=GROUP)
    names = sorted(found.names)
    wanted = given.service or (names[0] if len(names) == 1 else "")
    if wanted not in names:
        expected = f"one of {', '.join(names)}" if names else "a service that is installed"
        print(f"service: expected {expected}, found {wanted or 'no name'}; try: kgents services", file=sys.stderr)  # noqa: T201 - the log is not set up yet
        return EXIT_CONFIG
    path = Path(given.config) if given.config else None
    return serve(found[wanted].load(), config_file=path, environ=environ, services=names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
