"""`kgents.testing`: a recorded incident is a test of three lines, as docs/library.md prints it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import kgents
import kgents.testing
from support.recorded_incident import incident, write, written

DOCUMENT = (Path(__file__).parents[3] / "docs" / "library.md").read_text()
(EXAMPLE,) = re.findall(r"```py\n(.*?)```", DOCUMENT, re.DOTALL)


def run(directory: Path) -> subprocess.CompletedProcess[str]:
    (directory / "test_incident.py").write_text(EXAMPLE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--noconftest", "test_incident.py"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=50, check=False)


def test_the_printed_example_passes(tmp_path: Path) -> None:
    write(tmp_path / "incident.kgrec", incident())
    result = run(tmp_path)
    assert result.returncode == 0, result.stdout


def test_it_fails_once_the_incident_has_another_verdict(tmp_path: Path) -> None:
    write(tmp_path / "incident.kgrec", [row for row in incident() if not (row.signal == "pulse" and row.at_us > 39e6)])
    result = run(tmp_path)
    assert result.returncode == 1
    assert "assert [] == ['database/orders']" in result.stdout


def test_an_incident_says_what_fired_and_what_is_there(tmp_path: Path) -> None:
    whole = kgents.testing.replay(write(tmp_path / "incident.kgrec", incident()))
    assert whole.fired == ["critical KG-301 database/orders"]
    assert whole.firing == []
    assert [each.text for each in whole.alerts] == ["database orders uses 100 % of its connections (threshold 100 %)."]
    assert [each.ref.name for each in whole.entities if each.ref.kind not in ("cluster", "source")] == [
        "orders",
        "cart-7f",
    ]
    assert whole.get("cart").status == "running"
    with pytest.raises(kgents.NotFoundError):
        whole.get("payments")
    assert kgents.testing.replay(tmp_path / "incident.kgrec", until="30s").fired == []


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.kgrec").write_bytes(written(incident())[:-30])
    with pytest.raises(kgents.testing.RecordingError, match="cut off"):
        kgents.testing.replay(tmp_path / "cut.kgrec")
    (tmp_path / "other").write_text("other")
    with pytest.raises(kgents.KgentsError, match="expected a recording"):
        kgents.testing.replay(tmp_path / "other")
