"""A virtual environment with one member of the project and its declared dependencies, without asking any registry.

The member is built as a wheel; the distributions that the wheel requires, and those that they require, are copied from
the environment of the tests. What is not declared is not there.
"""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


class BareVenv:
    """Made by `bare_venv`."""

    def __init__(self, directory: Path, installed: set[str]) -> None:
        self.python = directory / "bin" / "python"
        self.installed = installed
        """The names of its distributions."""

    def run(self, program: str, within_s: float = 60.0) -> str:
        """What a program prints, with warnings as errors."""
        command = [str(self.python), "-I", "-W", "error", "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def bare_venv(directory: Path, member: str) -> BareVenv:
    """An environment for the wheel of a member's folder, such as `shared`."""
    wheel = _build(directory / "wheel", member)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory / "venv")], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(directory / "venv"), "platbase": ""}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (metadata,) = site.glob("*.dist-info")
    installed: dict[str, Distribution] = {}
    _collect(Distribution.at(metadata), set(), installed)
    for each in installed.values():
        _copy(each, site)
    return BareVenv(directory / "venv", set(installed))


def _build(out: Path, member: str) -> Path:
    command = [str(BIN / "uv"), "build", "--quiet", "--offline", "--wheel", "--no-build-isolation", "-o", str(out)]
    subprocess.run([*command, str(ROOT / member)], check=True, env={"VIRTUAL_ENV": str(BIN.parent), "PATH": str(BIN)})
    (wheel,) = out.glob("*.whl")
    return wheel


def _collect(required: Distribution, extras: set[str], found: dict[str, Distribution]) -> None:
    """Everything that a distribution requires with these extras."""
    for line in required.requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""})):
            name = canonicalize_name(requirement.name)
            if name not in found or requirement.extras:
                found[name] = distribution(requirement.name)
                _collect(found[name], requirement.extras, found)


def _copy(required: Distribution, site: Path) -> None:
    for file in required.files or ():
        if ".." not in file.parts:  # its commands
            target = site / str(file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(file.locate()), target)
