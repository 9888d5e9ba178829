"""A folder of a git repository → the directory of a copy of it, for as long as it is needed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kgents_shared.kubernetes.desired.reading import ManifestError, environ, run
from kgents_shared.runtime.config import process_environ

_FETCH_S: Final = 120.0
"""Of a shallow copy."""


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


def _git(root: Path, *words: str) -> str:
    # Never a prompt, no transport that runs a command, no configuration or hook of the repository.
    variables = {
        **environ(), "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "GIT_SSH_COMMAND": process_environ().get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
    }  # fmt: skip
    if shutil.which("git") is None:
        raise ManifestError("expected git on this machine, found none; install it, or name a directory")
    return run(
        ["git", "-C", str(root), "-c", f"core.hooksPath={os.devnull}", *words], _FETCH_S, variables, ["git", *words]
    )


def _safe(spec: str) -> str:
    """A text that a person gave, without what may be a password."""
    return (
        "one with a user"
        if "@" in spec.partition("/")[0] or "@" in spec.partition("://")[2].partition("/")[0]
        else repr(spec)
    )
