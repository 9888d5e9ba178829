"""The sources of the web view: their packages, their types, their own tests, and that they are built once."""

import json
import re
from pathlib import Path

import pytest

import build_web
from kgents_gateway.http.pages import INDEX
from support.browser import SOURCES


def test_the_lock_file_names_no_address_and_a_hash_for_every_package() -> None:
    packages = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    assert not any("resolved" in package for package in packages.values())
    assert all("integrity" in package for name, package in packages.items() if name)


@pytest.mark.parametrize(
    ("version", "is_new_enough"),
    [
        ("v18.20.4", False), ("v20.18.0", False), ("v20.19.0", True), ("v21.7.0", False), ("v22.11.0", False),
        ("v22.12.0\n", True), ("v24.19.0", True), ("", False),
    ],
)  # fmt: skip
def test_node_is_new_enough_for_vite(version: str, is_new_enough: bool) -> None:
    assert build_web.is_new_enough(version) is is_new_enough


@pytest.mark.timeout(180)
def test_what_the_sources_say_of_themselves_holds() -> None:
    assert build_web.main(["check"]) == 0
    assert build_web.main(["test"]) == 0


def test_what_has_not_changed_is_not_built_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail() -> None:
        raise build_web.BuildError("it builds again")

    (tmp_path / "web").mkdir()
    monkeypatch.setattr(build_web, "BUILT", tmp_path / "web")
    monkeypatch.setattr(build_web, "WHY_MISSING", tmp_path / "web.txt")
    monkeypatch.setattr(build_web, "ready", fail)
    (tmp_path / "web" / build_web.STAMP).write_text(build_web.version())
    assert build_web.main(["build"]) == 0
    (tmp_path / "web" / build_web.STAMP).write_text("of other sources")
    assert build_web.main(["build"]) == 1


def test_a_build_that_fails_says_why_and_keeps_what_was_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built = tmp_path / "web"
    built.mkdir()
    (built / INDEX).write_text("as before")
    monkeypatch.setattr(build_web, "BUILT", built)
    monkeypatch.setattr(build_web, "WHY_MISSING", tmp_path / "web.txt")

    def fail() -> None:
        raise build_web.BuildError("npm cannot reach its registry")

    monkeypatch.setattr(build_web, "ready", fail)
    assert build_web.main(["build"]) == 1
    assert "npm cannot reach its registry" in (tmp_path / "web.txt").read_text()
    assert (built / INDEX).read_text() == "as before"


def test_every_length_in_a_style_has_a_unit() -> None:
    """Preact leaves out lengths without one, and neither types nor a screen reader notice."""
    styles = {
        path: re.findall(r"style=\{\{(.*?)\}\}", path.read_text(), re.DOTALL) for path in SOURCES.glob("src/**/*.tsx")
    }
    found = [(path.name, each) for path, texts in styles.items() for each in texts]
    assert found
    assert [each for each in found if re.search(r":\s*[\d.]+\s*[,}]?\s*$|:\s*[a-z]\w*\s*[*+-]", each[1])] == []
