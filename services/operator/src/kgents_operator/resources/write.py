"""`python -m kgents_operator.resources.write FOLDER`: the definitions as files, for `kubectl apply -f`.

With `--check FOLDER` nothing is written, and the exit code is 1 if a file is not what it should be.
"""

import sys
from pathlib import Path

import yaml

from kgents_operator.resources.definitions import DEFINITIONS


def files() -> dict[str, str]:
    """The name of each file, and what is in it."""
    return {
        f"{each.plural}.yaml": yaml.safe_dump(each.document(), sort_keys=False, width=120, allow_unicode=True)
        for each in DEFINITIONS
    }


def stale(folder: Path) -> list[str]:
    """The files that are not as they should be, and those that no definition is for."""
    wanted = files()
    found = {each.name: each.read_text(encoding="utf-8") for each in folder.glob("*.yaml")}
    return sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))


def main(*arguments: str) -> int:
    """Write, or compare; returns the exit code."""
    folder = Path(arguments[-1])
    if "--check" not in arguments:
        for name, text in files().items():
            (folder / name).write_text(text, encoding="utf-8")
        return 0
    if found := stale(folder):
        print(f"{folder}: {', '.join(found)} differ from the Structs; run `make fix`", file=sys.stderr)  # noqa: T201 - a command
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
