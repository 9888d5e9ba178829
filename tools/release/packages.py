"""A member of the project → the folder of Python packages that is its image, and the list of what is in it.

Each folder is made by uv from a file of requirements with hashes, and is the same whenever it is made again.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from kgents_shared.runtime.config import process_environ
from release.closure import LOCK, ROOT, entries, requirements

DIST: Final = ROOT / "dist"
MEMBERS: Final = tuple(sorted(path.parent.name for path in (ROOT / "services").glob("*/pyproject.toml")))
TIMEOUT_S: Final = 300
EPOCH_S: Final = 315_532_800
"""1980-01-01, the earliest date that a zip can hold: the time of each file, whenever it was made."""
SBOM_TOOL: Final = "cyclonedx-bom==7.5.0"
_UV: Final = Path(sys.executable).with_name("uv")
_OF_THIS_BUILD: Final = ("direct_url.json", "uv_cache.json", "INSTALLER", "REQUESTED", "RECORD")
"""Of a package's metadata: what says how, where and when it was installed here. No program asks for it."""


class Release:
    """What is built, for one minor version of Python."""

    def __init__(self, environment: Mapping[str, str], dist: Path = DIST) -> None:
        self.environment = environment
        self.dist = dist
        self._lock = entries(LOCK.read_text(encoding="utf-8"), environment)

    def wheels(self) -> list[Path]:
        """The wheels of all members, the library among them."""
        out = self.dist / "wheels"
        shutil.rmtree(out, ignore_errors=True)
        for folder in ("shared", *(f"services/{member}" for member in MEMBERS)):
            _uv("build", "--wheel", "--no-build-isolation", "--out-dir", str(out), str(ROOT / folder))
        return sorted(out.glob("*.whl"))

    @property
    def version(self) -> str:
        """Of all wheels: they are released together."""
        return distribution("kgents-shared").version

    def requirements(self, member: str) -> Path:
        """A file of all that the image of a member contains, each with its version and hashes."""
        own, others = requirements(f"kgents-{member}", self.environment, self._lock)
        path = self.dist / "requirements" / f"{member}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*map(self._own_entry, own), *others, ""]), encoding="utf-8")
        return path

    def packages(self, member: str, *options: str) -> Path:
        """The folder that is copied into the image of a member; `options` are uv's, such as `--python-platform`."""
        folder = self.dist / "images" / member
        shutil.rmtree(folder, ignore_errors=True)
        source = ("--require-hashes", "--find-links", str(self.dist / "wheels"), "-r", str(self.requirements(member)))
        target = ("--no-deps", "--link-mode", "copy", "--target", str(folder), "--python", sys.executable)
        version = ("--python-version", self.environment["python_version"])
        _uv("pip", "install", *source, *target, *version, *options)
        settle(folder)
        return folder

    def contents(self, member: str) -> Path:
        """The list of what is in the image of a member, in CycloneDX, of what `packages` installed."""
        path = self.dist / "sbom" / f"kgents-{member}.cdx.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        command = ("tool", "run", "--from", SBOM_TOOL, "cyclonedx-py", "requirements", "--output-reproducible")
        _uv(*command, "--of", "JSON", "-o", str(path), str(self.dist / "requirements" / f"{member}.txt"))
        return path

    def _own_entry(self, name: str) -> str:
        stem = name.replace("-", "_")
        found = sorted((self.dist / "wheels").glob(f"{stem}-*.whl"))
        if len(found) != 1:
            raise ValueError(f"expected one wheel of {name}, found {len(found)}; try: make images")
        version = found[0].name.split("-")[1]
        return f"{name}=={version} \\\n    --hash=sha256:{sha256(found[0].read_bytes()).hexdigest()}"


def settle(folder: Path) -> None:
    """Leave of installed packages what does not depend on when, where and how they were installed."""
    for path in folder.glob("*.dist-info/*"):
        if path.name in _OF_THIS_BUILD:
            path.unlink()
    for name in ("bin", ".lock", "__pycache__"):
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (EPOCH_S, EPOCH_S))


def digest(folder: Path) -> str:
    """Of names, modes and bytes: equal for two builds of one release."""
    total = sha256()
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        total.update(f"{path.relative_to(folder)} {path.stat().st_mode:o} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()


def _uv(*command: str) -> None:
    run([str(_UV), *command[:1], "--quiet", *command[1:]])


def run(command: Sequence[str], *, folder: Path = ROOT, within_s: float = TIMEOUT_S, **environ: str) -> None:
    """Run a program.

    Raises:
        ValueError: it failed; the text is the end of what it said.
    """
    done = subprocess.run(  # noqa: S603 - programs of this project's tools, by full path or name
        command, cwd=folder, capture_output=True, text=True, timeout=within_s, check=False,
        env={**process_environ(), "SOURCE_DATE_EPOCH": str(EPOCH_S), **environ},
    )  # fmt: skip
    if done.returncode != 0:
        raise ValueError(f"{Path(command[0]).name} {' '.join(command[1:3])}: {(done.stderr or done.stdout)[-800:]}")


def members(given: Iterable[str]) -> list[str]:
    """The members asked for; all of them if none is.

    Raises:
        ValueError: one that there is not.
    """
    wanted = list(given) or list(MEMBERS)
    if unknown := sorted(set(wanted) - set(MEMBERS)):
        raise ValueError(f"expected some of {', '.join(MEMBERS)}, found {', '.join(unknown)}; try: make images")
    return wanted
