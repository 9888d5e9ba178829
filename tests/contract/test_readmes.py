"""The README of a service names each of its settings, and lists none that it does not have."""

import re
from pathlib import Path

import pytest

from kgents_cli.installed import load_service, service_names
from kgents_shared.runtime.settings import settings_of

ROOT = Path(__file__).parents[2]
TABLE = re.compile(r"^\| setting \|.*\n\|[-|]+\n((?:\|.*\n)+)", re.MULTILINE)


def readme(service: str) -> str:
    return (ROOT / "services" / service / "README.md").read_text(encoding="utf-8")


def words_of_code(text: str) -> set[str]:
    """What is written between backticks, word by word."""
    return {word for code in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"[a-z_0-9]+", code)}


@pytest.mark.parametrize("service", service_names())
def test_a_readme_names_each_setting(service: str) -> None:
    names = {key[1] for key, _ in settings_of(load_service(service).config, (service,))}
    named = words_of_code(readme(service))
    assert {each for each in names if each not in named and f"{each}_file" not in named} == set()


@pytest.mark.parametrize("service", service_names())
def test_a_readme_lists_no_setting_that_there_is_not(service: str) -> None:
    settings = dict(settings_of(load_service(service).config, (service,)))
    known = {part for key in settings for part in key}
    rows = [row for table in TABLE.findall(readme(service)) for row in table.splitlines()]
    listed = {name for row in rows for name in words_of_code(row.split("|")[1])}
    assert listed - known == set()
