"""A directory, a file, standard input, or a folder of a git repository → the documents of its manifests."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from kgents_shared.contract.errors import KgentsError
from kgents_shared.runtime.config import process_environ
from kgents_shared.runtime.ini import UnusableFileError
from kgents_shared.runtime.layers import PREFIX
from kgents_shared.runtime.yaml_file import read_documents

STDIN: Final = "-"
_SUFFIXES: Final = (".yaml", ".yml", ".json")
_KUSTOMIZATIONS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_CHART: Final = "Chart.yaml"
_BUILDERS: Final = (("kustomize", "build"), ("kubectl", "kustomize"))
_BUILD_S: Final = 60.0
_FETCH_S: Final = 120.0
"""Of a shallow copy."""
_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of all manifests together: a thousand times what a large system has."""

Documents = list[tuple[str, list[Any]]]
"""File, for people → what YAML parsed of it."""


class ManifestError(KgentsError):
    """The manifests cannot be read. The text says what was expected, what was found, and what to try."""


def read(path: str) -> Documents:
    """The documents of a file, of a directory with all below it, of a kustomization, or of standard input (`-`).

    Raises:
        ManifestError: there are none, or they cannot be read.
    """
    if path == STDIN:
        return [("standard input", _parsed(sys.stdin.read(_BYTES_MAX), "standard input"))]
    place = Path(path)
    if place.is_file():
        return [(place.name, _parsed(_text(place), str(place)))]
    if not place.is_dir():
        raise ManifestError(
            f"expected a file or a directory of manifests, found nothing at {place}; try: ls {place.parent}"
        )
    return _directory(place)


@contextmanager
def fetched(spec: str) -> Iterator[tuple[Path, str]]:
    """A folder of a git repository, `URL[@ref]:PATH`, in a temporary directory; and the commit it is from.

    Raises:
        ManifestError: it cannot be fetched, or has no such path.
    """
    url, ref, inner = git_place(spec)
    with tempfile.TemporaryDirectory(prefix="kgents-drift-") as directory:
        root = Path(directory).resolve()
        _git(root, "init", "-q")
        _git(root, "fetch", "-q", "--depth", "1", "--no-tags", url, ref or "HEAD")
        _git(root, "checkout", "-q", "FETCH_HEAD")
        commit = _git(root, "rev-parse", "--short=12", "HEAD").strip()
        place = (root / inner).resolve()
        if not place.is_relative_to(root) or not place.exists():
            raise ManifestError(f"expected {inner} in {url} at {commit}, found no such path; try: git ls-tree {commit}")
        yield place, commit


def git_place(spec: str) -> tuple[str, str, str]:
    """`URL[@ref]:PATH` → its three parts; no ref: the default branch.

    Raises:
        ManifestError: it is not that, or the URL has a password.
    """
    head, colon, path = spec.rpartition(":")
    if not colon or path.startswith("//") or not head or head.startswith("-"):
        raise ManifestError(
            f"--git: expected URL[@ref]:PATH, found {_safe(spec)}; try: https://host/repo.git@main:deploy"
        )
    scheme, separator, rest = head.rpartition("://")
    authority, slash, inner = rest.partition("/") if separator or "/" in rest.partition(":")[0] else rest.partition(":")
    name, at, ref = inner.partition("@")
    url = f"{scheme}{separator}{authority}{slash}{name}"
    if separator and urlsplit(url).password is not None:
        raise ManifestError(
            "--git: expected a URL without a password, found one with it; use a credential helper of git"
        )
    if ref.startswith("-") or (at and not ref):
        raise ManifestError(f"--git: expected a branch, a tag or a commit after @, found {ref!r}")
    return url, ref, path.lstrip("/") or "."


def _directory(place: Path) -> Documents:
    if (place / _CHART).exists():
        raise ManifestError(_chart(place))
    if any((place / name).exists() for name in _KUSTOMIZATIONS):
        return [(place.name, _parsed(_built(place), f"the output of kustomize for {place}"))]
    found, left, root = [], _BYTES_MAX, place.resolve()
    for path in sorted(place.rglob("*")):
        if path.name == _CHART:
            raise ManifestError(_chart(path.parent))
        if path.name in _KUSTOMIZATIONS:
            raise ManifestError(
                f"expected plain manifests or one kustomization, found one in {path.parent}; "
                f"try: kgents drift {path.parent}"
            )
        is_hidden = any(part.startswith(".") for part in path.relative_to(place).parts)
        if path.suffix not in _SUFFIXES or is_hidden or not path.is_file():
            continue
        if not path.resolve().is_relative_to(root):
            raise ManifestError(f"expected manifests within {place}, found a link that leads out of it: {path}")
        left -= path.stat().st_size
        if left < 0:
            raise ManifestError(f"expected at most {_BYTES_MAX // 1024**2} MiB of manifests, found more in {place}")
        found.append((str(path.relative_to(place)), _parsed(_text(path), str(path))))
    return found


def _chart(place: Path) -> str:
    return f"expected manifests, found a Helm chart; try: helm template NAME {place} | kgents drift -"


def _built(place: Path) -> str:
    builder = next((each for each in _BUILDERS if shutil.which(each[0])), None)
    if builder is None:
        raise ManifestError(
            f"expected kustomize or kubectl to render {place}, found neither; "
            "try on a machine that has one: kubectl kustomize DIR | kgents drift -"
        )
    words = [*builder, str(place)]
    return _run(words, _BUILD_S, _environ(), words)


def _git(root: Path, *words: str) -> str:
    # Never a prompt, no transport that runs a command, no configuration or hook of the repository.
    environ = {
        **_environ(), "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "GIT_SSH_COMMAND": process_environ().get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
    }  # fmt: skip
    if shutil.which("git") is None:
        raise ManifestError("expected git on this machine, found none; install it, or name a directory")
    return _run(
        ["git", "-C", str(root), "-c", f"core.hooksPath={os.devnull}", *words], _FETCH_S, environ, ["git", *words]
    )


def _environ() -> dict[str, str]:
    """The variables of this process without those that configure kgents: they may hold its password."""
    return {name: value for name, value in process_environ().items() if not name.upper().startswith(PREFIX)}


def _run(words: Sequence[str], limit_s: float, environ: Mapping[str, str], shown: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - without a shell, and the words are ours or a checked address
            words,
            capture_output=True,
            text=True,
            timeout=limit_s,
            env=dict(environ),
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise ManifestError(f"expected {words[0]} to end within {limit_s:.0f} s, found it still running") from None
    if done.returncode:
        # What went wrong may quote a manifest, and so a secret: the command itself shows it.
        raise ManifestError(
            f"expected {words[0]} to succeed, found exit code {done.returncode}; try: {shlex.join(shown)}"
        )
    return done.stdout


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise ManifestError(f"expected at most {_BYTES_MAX // 1024**2} MiB of manifests, found more in {path}")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ManifestError(f"expected a readable file, found {path}: {reason}") from None


def _parsed(text: str, name: str) -> list[Any]:
    try:
        return read_documents(text)
    except UnusableFileError as error:
        raise ManifestError(f"{name}: {error}") from None


def _safe(spec: str) -> str:
    """A text that a person gave, without what may be a password."""
    return (
        "one with a user"
        if "@" in spec.partition("/")[0] or "@" in spec.partition("://")[2].partition("/")[0]
        else repr(spec)
    )
