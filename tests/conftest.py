"""The folder of a test is its marker, and no test sees the developer's own settings."""

import os
import signal
from pathlib import Path

import pytest

MARKERS = ("unit", "property", "contract", "integration", "faults", "e2e")
ROOT = Path(__file__).parent

# Started in the background by a shell without job control, we and the commands that tests start would ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(ROOT).parts[0]
        if folder in MARKERS:
            item.add_marker(folder)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("KGENTS", "OTEL_")):
            monkeypatch.delenv(name)
