"""The units for machines without containers, judged by the tools that read them there."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from kgents_shared.runtime.config import SERVICES
from support.programs import need

UNITS: Final = Path(__file__).parents[3] / "deploy/systemd"
ALL: Final = [*(f"kgents@{service}.service" for service in SERVICES), "nats-server.service"]
EXPOSURE_MAX: Final = 20
"""Tenths: 10 is a service that is held to nothing, 0 one that can do nothing."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with our units, and the programs and targets that they name."""
    need("/usr/lib/systemd/systemd")
    for path in UNITS.glob("*.service*"):
        target = tmp_path / "etc/systemd/system" / path.name
        if path.is_dir():
            shutil.copytree(path, target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    for name in ("opt/kgents/bin/kgents", "opt/kgents/bin/nats-server", "bin/kill"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch(mode=0o755)
    shutil.copytree("/usr/lib/systemd/system", tmp_path / "usr/lib/systemd/system", symlinks=True)
    for name in ("sysusers.d", "tmpfiles.d"):
        shutil.copytree(UNITS / name, tmp_path / "usr/lib" / name)
    return tmp_path


def analyze(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    words = ["systemd-analyze", f"--root={root}", *command]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("unit", ALL)
def test_a_service_can_do_little_more_than_it_needs(root: Path, unit: str) -> None:
    judged = analyze(root, "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", unit)
    assert judged.returncode == 0, judged.stdout[-200:]


def test_a_service_that_could_do_more_would_be_found(root: Path) -> None:
    unit = root / "etc/systemd/system/kgents@.service"
    kept = [line for line in unit.read_text().splitlines() if not line.startswith(("Protect", "Private", "Capability"))]
    unit.write_text("\n".join(kept))
    judged = analyze(root, "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "kgents@gateway.service")
    assert judged.returncode != 0


def test_systemd_understands_every_line(root: Path) -> None:
    done = analyze(root, "verify", *ALL)
    assert [line for line in done.stderr.splitlines() if "kgents" in line or "nats" in line] == []


def test_what_a_service_needs_beyond_others_is_for_a_service_that_there_is() -> None:
    names = {path.name for path in UNITS.glob("kgents@*.d")}
    assert names <= {f"kgents@{service}.service.d" for service in SERVICES}
    assert names


def test_the_account_and_the_folders_are_made(root: Path) -> None:
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    for command in (["systemd-sysusers", f"--root={root}"], ["systemd-tmpfiles", "--create", f"--root={root}"]):
        done = subprocess.run([*command, "kgents.conf"], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    (account,) = [line for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("kgents:")]
    uid, gid = map(int, account.split(":")[2:4])
    assert uid != 0
    state, secrets = (root / "var/lib/kgents").stat(), (root / "etc/kgents/secrets").stat()
    assert (state.st_uid, state.st_mode & 0o777) == (uid, 0o700)
    assert (secrets.st_uid, secrets.st_gid, secrets.st_mode & 0o777) == (0, gid, 0o750)
