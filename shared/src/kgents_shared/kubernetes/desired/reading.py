"""A directory, a file or standard input → the documents of its manifests."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

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
_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of all manifests together: a thousand times what a large system has."""

Documents = list[tuple[str, list[Any]]]
"""File, for people → what YAML parsed of it."""


class Text(NamedTuple):
    """One file, or the output of a program."""

    file: str
    """Its path within the directory."""
    place: str
    """Where it is, for an error."""
    text: str


class ManifestError(KgentsError):
    """The manifests cannot be read. The text says what was expected, what was found, and what to try."""


def read(path: str) -> Documents:
    """The documents of a file, of a directory with all below it, of a kustomization, or of standard input (`-`).

    Raises:
        ManifestError: there are none, or they cannot be read.
    """
    return parsed(texts(path))


def texts(path: str) -> list[Text]:
    """The same before they are parsed, which takes far longer than to read them.

    Raises:
        ManifestError: there are none, or they cannot be read.
    """
    if path == STDIN:
        return [Text("standard input", "standard input", sys.stdin.read(_BYTES_MAX))]
    place = Path(path)
    if place.is_file():
        return [Text(place.name, str(place), _text(place))]
    if not place.is_dir():
        raise ManifestError(
            f"expected a file or a directory of manifests, found nothing at {place}; try: ls {place.parent}"
        )
    return _directory(place)


def parsed(found: Sequence[Text]) -> Documents:
    """The documents of these texts.

    Raises:
        ManifestError: one is not YAML.
    """
    return [(each.file, _documents(each)) for each in found]


def _directory(place: Path) -> list[Text]:
    if (place / _CHART).exists():
        raise ManifestError(_chart(place))
    if any((place / name).exists() for name in _KUSTOMIZATIONS):
        return [Text(place.name, f"the output of kustomize for {place}", _built(place))]
    try:
        return list(_files(place))
    except OSError as error:  # of a directory that may not be read, or of a file that is gone meanwhile
        raise ManifestError(f"expected readable files below {place}, found: {error.strerror}; try: ls -lR") from None


def _files(place: Path) -> Iterator[Text]:
    left, root = _BYTES_MAX, place.resolve()
    for path in sorted(_below(place)):
        if path.name == _CHART:
            raise ManifestError(_chart(path.parent))
        if path.name in _KUSTOMIZATIONS:
            raise ManifestError(
                f"expected plain manifests or one kustomization, found one in {path.parent}; "
                f"try: kgents drift {path.parent}"
            )
        if path.suffix not in _SUFFIXES or not path.is_file():
            continue
        if not path.resolve().is_relative_to(root):
            raise ManifestError(f"expected manifests within {place}, found a link that leads out of it: {path}")
        left -= path.stat().st_size
        if left < 0:
            raise ManifestError(f"expected at most {_BYTES_MAX // 1024**2} MiB of manifests, found more in {place}")
        yield Text(str(path.relative_to(place)), str(path), _text(path))


def _below(place: Path) -> Iterator[Path]:
    """All files but hidden ones. A directory that cannot be read is an error: its objects are not missing."""

    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(place, onerror=refuse):
        folders[:] = [each for each in folders if not each.startswith(".")]
        yield from (Path(folder, each) for each in files if not each.startswith("."))


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
    return run(words, _BUILD_S, environ(), words)


def environ() -> dict[str, str]:
    """The variables of this process without those that configure kgents: they may hold its password."""
    return {name: value for name, value in process_environ().items() if not name.upper().startswith(PREFIX)}


def run(words: Sequence[str], limit_s: float, variables: Mapping[str, str], shown: Sequence[str]) -> str:
    """What a program prints on standard output.

    Raises:
        ManifestError: it fails, or does not end in time. The error names `shown` as the command to try.
    """
    try:
        done = subprocess.run(  # noqa: S603 - without a shell, and the words are ours or a checked address
            words,
            capture_output=True,
            text=True,
            timeout=limit_s,
            env=dict(variables),
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


def _documents(found: Text) -> list[Any]:
    try:
        return read_documents(found.text)
    except UnusableFileError as error:
        raise ManifestError(f"{found.place}: {error}") from None
