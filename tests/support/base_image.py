"""A base for images on a machine that reaches no registry of images: the Python of these tests, as a file system.

It holds what `python:3.x-slim` has and an image of ours uses: that Python with its standard library, the libraries of C
that these are linked with, and a shell.
"""

import io
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

UNUSED: Final = frozenset(
    {"test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages", "dist-packages",
     "pydoc_data"}
)  # fmt: skip
NAME: Final = "kgents-base:1"
OLD_LIBRARIES: Final = ("libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libm.so.6")
"""Parts of the C library that wheels still ask for by name."""
OF_SLIM: Final = ("libstdc++.so.6", "libgcc_s.so.1")
"""What is there besides: wheels of C++, such as gRPC's, ask for it."""
FOLDERS: Final = ("tmp", "var/lib", "opt")


@cache
def base_archive() -> bytes:
    """The file system, as a tar."""
    program = Path(sys._base_executable).resolve()  # type: ignore[attr-defined] # of the Python below a venv; no other name for it
    library = Path(sysconfig.get_path("stdlib", vars={"base": sys.base_prefix, "installed_base": sys.base_prefix}))
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", dereference=True) as tar:
        for folder in FOLDERS:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        tar.add(program, str(program))
        tar.add(library, str(library), filter=_of_use)
        for path in sorted(_linked([program, *library.glob("lib-dynload/*.so")])):
            tar.add(path, path)
        tar.add("/bin/busybox", "bin/busybox")
        _link(tar, "bin/sh", "busybox")
        _link(tar, "bin/mkdir", "busybox")
        _link(tar, "usr/bin/python3", str(program))
    return content.getvalue()


def _of_use(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if UNUSED & set(Path(entry.name).parts[-2:]) else entry


def _linked(programs: Iterable[Path]) -> set[str]:
    """The libraries of C that these load, under the names by which they are loaded."""
    done = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, timeout=60, check=True)
    found = set(re.findall(r"(/\S+\.so[.\d]*) \(", done.stdout)) | set(re.findall(r"=> (/\S+)", done.stdout))
    (c_library,) = (Path(path) for path in found if path.endswith("/libc.so.6"))
    return found | {str(path) for name in (*OLD_LIBRARIES, *OF_SLIM) if (path := c_library.with_name(name)).exists()}


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, target
    tar.addfile(link)
