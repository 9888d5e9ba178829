"""`python -m blank_debian DIRECTORY`: what a newcomer meets: `make up` in a fresh clone on a blank Debian.

As root on Linux, with debootstrap: a Debian with Python, make and git alone is made in DIRECTORY (once), with a clone
of this commit. `make up` and `make up DEMO=1` run in a pseudo-terminal, whose times are printed; Ctrl-C ends them.
MIRROR names another mirror. BIND names paths of this machine that the Debian needs to reach a package registry, such as
pip's configuration, divided by colons.
"""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kgents_cli.demonstration import NOTICE
from kgents_shared.runtime.config import process_environ
from support.terminal import HOME, Terminal
from support.waiting import eventually

RELEASE: Final = "bookworm"
PACKAGES: Final = "python3,python3-venv,make,git,ca-certificates"
MIRROR: Final = "http://deb.debian.org/debian"
CLONE: Final = "root/kgents"
ENTITIES: Final = re.compile(r"^\d+ entities", re.MULTILINE)
SET_UP_S: Final = 300.0
"""What pip may take to install everything, and …"""
FIRST_S: Final = 20.0
"""… from then on, until the first entities are seen."""


async def main(root: Path) -> None:
    """Make the Debian, and print a line for each run."""
    make(root)
    for flags in ([], ["DEMO=1"]):
        for columns, lines in ((100, 30), (50, 12)):
            print(f"make up {' '.join(flags):<7} {columns:>3}×{lines}: {await driven(root, flags, columns, lines)}")  # noqa: T201 - its output
    print(f"through a pipe: {piped(root)}")  # noqa: T201 - its output


def make(root: Path) -> None:
    """A Debian with nothing but what README asks for, and a clone of this commit."""
    if not (root / "bin/sh").exists():
        mirror = process_environ().get("MIRROR", MIRROR)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(root), mirror]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - what is above
    if not (root / CLONE).exists():
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", ".", str(root / CLONE)], check=True)  # noqa: S603, S607 - git as found


def inside(root: Path, command: str) -> list[str]:
    """A command in the Debian, with mounts and processes of its own: nothing of it is left.

    The shell stays, as the first of these processes: one that has that number is not ended by Ctrl-C.
    """
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", "\n".join((*_mounts(root), command))]


def _mounts(root: Path) -> Iterator[str]:
    yield f"mount -t proc proc {root}/proc; mount --bind /dev {root}/dev; mount --bind /dev/pts {root}/dev/pts"
    yield f"mount --bind /sys {root}/sys; cp /etc/resolv.conf {root}/etc/"
    for each in filter(None, process_environ().get("BIND", "").split(":")):
        if Path(each).is_dir():
            yield f"mkdir -p {root}{each}; mount --bind {each} {root}{each}"
        else:
            yield f"mkdir -p $(dirname {root}{each}); touch {root}{each}; mount --bind {each} {root}{each}"


def _up(root: Path, flags: list[str]) -> str:
    return f"chroot {root} env -i PATH=$PATH HOME=/root TERM=$TERM make -C /{CLONE} up {' '.join(flags)}"


async def driven(root: Path, flags: list[str], columns: int, lines: int) -> str:
    """Seconds until each sign, and how it ended."""
    started_s = time.monotonic()
    with Terminal(inside(root, _up(root, flags)), columns=columns, lines=lines) as terminal:
        await eventually(lambda: terminal.picture or terminal.process.poll() is not None, SET_UP_S)
        if terminal.process.poll() is not None:
            return f"ended with {terminal.process.returncode}:\n{terminal.written[-2_000:]}"
        drawn_s = time.monotonic()
        await eventually(lambda: ENTITIES.search("\n".join(terminal.picture)), FIRST_S)
        seen_s = time.monotonic()
        redraws = terminal.written.count(HOME)
        await eventually(lambda: terminal.written.count(HOME) > redraws)
        widest, is_demo = max(map(len, terminal.picture)), NOTICE in terminal.picture
        terminal.press("\x03")
        code = await asyncio.to_thread(terminal.ended)
    return (
        f"drawn after {drawn_s - started_s:.1f} s, entities {seen_s - drawn_s:.1f} s later, "
        f"at most {widest} columns, {'says that it is a demo, ' if is_demo else ''}Ctrl-C ends it with {code}"
    )


def piped(root: Path) -> str:
    """Whether lines come without any sequence for a terminal."""
    command = inside(root, f"timeout -s INT 40 sh -c '{_up(root, [])}'")
    found = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - what is above
    is_plain = "\x1b[" not in found.stdout
    return f"{len(found.stdout.splitlines())} lines, {'plain' if is_plain else 'with sequences of a terminal'}"


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).absolute()))
