"""What a release says of itself."""

import re
import tomllib

import pytest
import yaml

from release.chart import CHART
from release.closure import ROOT
from release.notes import section
from release.packages import MEMBERS

TEXT = "# Changelog\n\n## Unreleased\n\n- new\n\n## 1.2.0 - 2026-01-02\n\n### Added\n\n- old\n\n## 1.1.0\n\n- older\n"


def test_a_release_has_the_section_of_its_version_and_no_other() -> None:
    assert section(TEXT, "1.2.0") == "# kgents 1.2.0\n\n### Added\n\n- old\n"
    assert section(TEXT, "1.1.0") == "# kgents 1.1.0\n\n- older\n"


def test_a_release_that_has_none_yet_has_what_is_unreleased() -> None:
    assert section(TEXT, "1.3.0") == "# kgents 1.3.0\n\n- new\n"


def test_a_release_of_which_nothing_is_said_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1\.3\.0"):
        section("# Changelog\n\n## Unreleased\n\n", "1.3.0")


def test_all_that_is_released_together_has_one_version() -> None:
    projects = [ROOT / "shared", *(ROOT / "services" / member for member in MEMBERS)]
    versions = {tomllib.loads((path / "pyproject.toml").read_text())["project"]["version"] for path in projects}
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    found = {*versions, chart["version"], chart["appVersion"]}
    for path in (ROOT / "deploy/kubernetes").glob("*/kustomization.yaml"):
        found |= set(re.findall(r"newTag: (\S+)", path.read_text()))
    found |= set(re.findall(r"KGENTS_TAG:-([^}]+)}", (ROOT / "deploy/compose/compose.yaml").read_text()))
    assert len(found) == 1, found
