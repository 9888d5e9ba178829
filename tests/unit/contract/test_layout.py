"""The shape of the project: every service is laid out alike and known to every tool, and no module is a heap."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
MEMBERS = sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir())
SERVICES = [name for name in MEMBERS if name != "cli"]
"""`cli` is the `kgents` command: it is laid out like a service, but nothing runs it as one."""
MODULES = sorted(path for source in ("shared/src", "services") for path in (ROOT / source).rglob("*.py"))

LINES_MAX = 400
HEAPS = {"manager", "helper", "helpers", "util", "utils", "base", "common"}
"""Words in a module's name that say nothing of what it does, so that anything may end up in it."""
SECTIONS = ["Flow", "Subjects", "Configuration", "Rights", "What it costs", "Limits", "When it is wrong"]
"""What an operator looks for in a service's README, in this order; a service may have more to say in between."""


def toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def package_of(member: str) -> str:
    return f"kgents_{member.replace('-', '_')}"


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def root() -> dict[str, Any]:
    return toml(ROOT / "pyproject.toml")


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_is_named_after_its_folder(member: str) -> None:
    project = toml(ROOT / "services" / member / "pyproject.toml")["project"]
    assert project["name"] == f"kgents-{member}"
    assert project["readme"] == "README.md"
    assert (ROOT / "services" / member / "src" / package_of(member) / "py.typed").exists()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_registers_itself_under_its_own_name(service: str) -> None:
    project = toml(ROOT / "services" / service / "pyproject.toml")["project"]
    assert project["entry-points"]["kgents.services"] == {service: f"{package_of(service)}.app:SERVICE"}


@pytest.mark.parametrize("member", MEMBERS)
def test_a_package_begins_with_its_flow(member: str) -> None:
    source = (ROOT / "services" / member / "src" / package_of(member) / "__init__.py").read_text(encoding="utf-8")
    assert "→" in (ast.get_docstring(ast.parse(source)) or "")


@pytest.mark.parametrize("service", SERVICES)
def test_a_readme_answers_what_an_operator_asks(service: str) -> None:
    readme = (ROOT / "services" / service / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (?:\d+\. )?(.+)$", readme, flags=re.MULTILINE)
    found = [section for heading in headings for section in SECTIONS if heading.startswith(section)]
    assert found == SECTIONS


@pytest.mark.parametrize("member", MEMBERS)
def test_the_workspace_installs_and_type_checks_a_member(member: str, root: dict[str, Any]) -> None:
    assert f"kgents-{member}" in root["project"]["dependencies"]
    assert root["tool"]["uv"]["sources"][f"kgents-{member}"] == {"workspace": True}
    assert f"services/{member}/src" in root["tool"]["mypy"]["mypy_path"]


@pytest.mark.parametrize("member", MEMBERS)
def test_the_import_contracts_know_a_member(member: str, root: dict[str, Any]) -> None:
    rules = root["tool"]["importlinter"]
    assert package_of(member) in rules["root_packages"]
    layers = next(contract for contract in rules["contracts"] if contract["type"] == "layers")["layers"]
    assert package_of(member) in [package for layer in layers for package in layer.split(" | ")]


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_a_module_is_short_and_named_after_what_it_does(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= LINES_MAX
    assert HEAPS.isdisjoint(module.stem.split("_"))


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_a_module_says_where_it_stands(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))
