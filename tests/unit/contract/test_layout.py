"""The shape of the project: every service is laid out alike and known to every tool, and no module is a heap."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
MEMBERS = sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir())
SERVICES = [name for name in MEMBERS if name != "cli"]
"""`cli` is the `kgents` command: it is laid out like a service, but nothing runs it as one."""
MODULES = sorted(path for source in ("shared/src", "services") for path in (ROOT / source).rglob("*.py"))

LINES_MAX = 400
HEAPS = {"manager", "helper", "helpers", "util", "utils", "base", "common"}
"""Words in a module's name that say nothing of what it does, so that anything may end up in it."""
SECTIONS = ["Flow", "Subjects", "Configuration", "Rights", "What it costs", "Limits", "When it is wrong"]
"""What an operator needs from a service's README, in this order; a service may have more to say in between."""


def toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def package_of(member: str) -> str:
    return f"kgents_{member.replace('-', '_')}"


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def project_of(member: str) -> dict[str, Any]:
    found: dict[str, Any] = toml(ROOT / "services" / member / "pyproject.toml")["project"]
    return found


def is_named_after_its_folder(member: str) -> bool:
    project = project_of(member)
    is_typed = (ROOT / "services" / member / "src" / package_of(member) / "py.typed").exists()
    return project["name"] == f"kgents-{member}" and project["readme"] == "README.md" and is_typed


def test_every_member_is_named_after_its_folder_and_typed() -> None:
    assert [member for member in MEMBERS if not is_named_after_its_folder(member)] == []


def test_every_service_registers_itself_under_its_own_name() -> None:
    registered = {service: project_of(service)["entry-points"]["kgents.services"] for service in SERVICES}
    assert registered == {service: {service: f"{package_of(service)}.app:SERVICE"} for service in SERVICES}


def test_every_collector_has_the_same_parts() -> None:
    collectors = [name for name in SERVICES if name.startswith("collector-")]
    parts = ("config.py", "source/__init__.py", "mapping/__init__.py", "detect.py", "app.py")
    packages = [ROOT / "services" / name / "src" / package_of(name) for name in collectors]
    missing = [package / part for package in packages for part in parts if not (package / part).exists()]
    assert [relative(path) for path in missing] == []
    detecting = {name: project_of(name)["entry-points"]["kgents.detect"] for name in collectors}
    assert detecting == {name: {name: f"{package_of(name)}.detect:detect"} for name in collectors}


def begins_with_its_flow(member: str) -> bool:
    source = (ROOT / "services" / member / "src" / package_of(member) / "__init__.py").read_text(encoding="utf-8")
    return "→" in (ast.get_docstring(ast.parse(source)) or "")


def test_every_package_begins_with_its_flow() -> None:
    assert [member for member in MEMBERS if not begins_with_its_flow(member)] == []


def sections_of(service: str) -> list[str]:
    readme = (ROOT / "services" / service / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (?:\d+\. )?(.+)$", readme, flags=re.MULTILINE)
    return [section for heading in headings for section in SECTIONS if heading.startswith(section)]


def test_every_readme_answers_what_an_operator_asks() -> None:
    found = {service: sections_of(service) for service in SERVICES}
    assert found == dict.fromkeys(SERVICES, SECTIONS)


def test_types_and_imports_of_every_member_are_checked() -> None:
    tools = toml(ROOT / "pyproject.toml")["tool"]
    missing = [
        *({f"services/{member}/src" for member in MEMBERS} - set(tools["mypy"]["mypy_path"])),
        *({package_of(member) for member in MEMBERS} - set(tools["importlinter"]["root_packages"])),
    ]
    assert missing == []


def test_every_module_is_short() -> None:
    lengths = {relative(module): len(module.read_text(encoding="utf-8").splitlines()) for module in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > LINES_MAX} == {}


def test_every_module_is_named_after_what_it_does() -> None:
    assert [relative(module) for module in MODULES if not HEAPS.isdisjoint(module.stem.split("_"))] == []


def test_every_module_says_where_it_stands() -> None:
    without = [module for module in MODULES if not ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))]
    assert [relative(module) for module in without] == []


def test_there_are_modules_to_check() -> None:
    assert len(MODULES) > 200
