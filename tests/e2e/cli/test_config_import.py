"""`kgents config import`, as a user runs it, and what a service says when it is given the other layout."""

from pathlib import Path

import pytest

from support.kgents_command import run_kgents

OTHER = "collectors:\n  docker: {enabled: true, socket: 'unix:///run/x.sock'}\nalerts: {pagerduty_key: hunter2}\n"


async def test_a_file_in_another_layout_is_imported_and_then_accepted(tmp_path: Path) -> None:
    other, ours = tmp_path / "infrastructure.yaml", tmp_path / "kgents.yaml"
    other.write_text(OTHER)
    code, out, err = await run_kgents("config", "import", str(other), "-o", str(ours))
    assert (code, out) == (0, "")
    assert "alerts.pagerduty_key: the secret is not copied" in err
    assert f"next: `kgents config check --config {ours}`" in err
    assert "hunter2" not in err + ours.read_text()
    written = ours.read_text()
    (tmp_path / "pagerduty-key").write_text("k" * 32)
    ours.write_text(written.replace("/etc/kgents/secrets", str(tmp_path)))
    code, out, err = await run_kgents("config", "check", "--config", str(ours))
    assert (code, err) == (0, "")
    code, out, err = await run_kgents("config", "import", str(other))
    assert (code, out) == (0, written)


async def test_a_variable_that_is_no_setting_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGENTS_THEME", "dark")
    code, _, err = await run_kgents("config", "check", "topology-builder")
    assert code == 0
    assert err.startswith("KGENTS_THEME: no variable of kgents")


async def test_no_file_is_overwritten(tmp_path: Path) -> None:
    other = tmp_path / "infrastructure.yaml"
    other.write_text(OTHER)
    code, out, err = await run_kgents("config", "import", str(other), "-o", str(other))
    assert (code, out) == (1, "")
    assert "expected a new file, found: File exists" in err
    assert other.read_text() == OTHER


async def test_a_service_that_is_given_the_other_layout_names_the_command(tmp_path: Path) -> None:
    other = tmp_path / "infrastructure.yaml"
    other.write_text(OTHER)
    code, out, err = await run_kgents("run", "topology-builder", "--config", str(other))
    assert (code, out) == (78, "")
    fault, hint = err.splitlines()
    assert fault.startswith(f"{other}: expected sections of kgents, found the sections collectors, alerts of another")
    assert fault.endswith(f"; try: kgents config import {other}")
    assert hint == "fix the above, then run `kgents config check`"


async def test_a_file_in_our_own_layout_is_not_imported(tmp_path: Path) -> None:
    ours = tmp_path / "kgents.yaml"
    ours.write_text("nats: {url: 'nats://a:1'}\n")
    code, out, err = await run_kgents("config", "import", str(ours))
    assert (code, out) == (78, "")
    assert f"try: kgents config check --config {ours}" in err
