"""No program stores a decision without its record."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_only_the_module_that_records_decisions_stores_them() -> None:
    importing = re.compile(r"^from kgents_shared\.bus\.word import .*\bstore\b", re.MULTILINE)
    sources = [*ROOT.glob("services/*/src/**/*.py"), *ROOT.glob("shared/src/**/*.py")]
    found = {each.name for each in sources if importing.search(each.read_text("utf-8"))}
    assert found == {"audit.py"}
