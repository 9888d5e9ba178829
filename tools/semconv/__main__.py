"""`PYTHONPATH=tools python -m semconv`: the installed OpenTelemetry package → names.txt, its registry's names as data.

Attributes and metrics, stable and incubating ones, under the version of the package that they are of. A name that the
registry has dropped or renamed shows in the diff, and then fails the test of the vocabulary.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

PACKAGE: Final = "opentelemetry-semantic-conventions"
FILE: Final = Path(__file__).with_name("names.txt")
_MODULES: Final = (
    "opentelemetry.semconv.attributes",
    "opentelemetry.semconv._incubating.attributes",
    "opentelemetry.semconv.metrics",
    "opentelemetry.semconv._incubating.metrics",
)


def registry() -> str:
    """What names.txt should be."""
    names = sorted({name for package in _MODULES for name in _names(package)})
    return "\n".join((f"# {PACKAGE} {version(PACKAGE)}", *names)) + "\n"


def _names(package: str) -> Iterator[str]:
    for path in pkgutil.iter_modules(importlib.import_module(package).__path__):
        module = importlib.import_module(f"{package}.{path.name}")
        yield from (value for name, value in vars(module).items() if name.isupper() and isinstance(value, str))


if __name__ == "__main__":
    FILE.write_text(registry(), encoding="utf-8")
