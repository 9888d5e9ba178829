"""What is remembered between two dashboards."""

from pathlib import Path

import pytest

from kgents_cli.ui.kept import Kept, load, path, save


def test_what_was_kept_is_there_and_a_damaged_file_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert load(path()) == Kept()
    kept = Kept("events", {"entities": "kind:pod"}, ["a.b"], "colour-blind")
    save(path(), kept)
    assert load(path()) == kept
    assert [each.name for each in path().parent.iterdir()] == ["ui.json"]
    path().write_text('{"screen": "nats", "from a later version": 1}')
    assert load(path()) == Kept("nats")
    for damaged in ("", "{", '{"filters": 3}', "\xff"):
        path().write_text(damaged)
        assert load(path()) == Kept()


def test_a_directory_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    save(tmp_path / "file" / "ui.json", Kept())
    assert load(tmp_path / "file" / "ui.json") == Kept()
