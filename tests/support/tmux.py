"""A real terminal, tmux: a program in it, its picture and modes, keys, another size, and a reader that stops."""

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from support.programs import need
from support.waiting import MACHINE, eventually


class Tmux:
    """`with Tmux(folder, 80, 24) as terminal`: a shell with job control in a terminal of its own server."""

    def __init__(self, folder: Path, columns: int, lines: int, environ: dict[str, str] | None = None) -> None:
        self._program = need("tmux")
        self._folder = folder
        self._size = (columns, lines)
        self._environ = {**os.environ, "PS1": "$ ", "XDG_STATE_HOME": str(folder), **(environ or {})}

    def __enter__(self) -> Self:
        columns, lines = self._size
        self._run("new-session", "-d", "-x", str(columns), "-y", str(lines), "bash --norc --noprofile -i")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("kill-server")

    def type(self, text: str) -> None:
        self._run("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def click(self, column: int, line: int) -> None:
        """With the mouse, as a terminal reports it; both count from 1."""
        self.type(f"\x1b[<0;{column};{line}M\x1b[<0;{column};{line}m")

    def wheel(self, column: int, line: int, *, is_up: bool) -> None:
        """One notch."""
        self.type(f"\x1b[<{64 if is_up else 65};{column};{line}M")

    def resize(self, columns: int, lines: int) -> None:
        self._run("resize-window", "-x", str(columns), "-y", str(lines))

    def command(self, *words: str) -> None:
        """Run it in the shell."""
        self.type(" ".join(words))
        self.press("Enter")

    @property
    def picture(self) -> str:
        return self._run("capture-pane", "-p")

    @property
    def colours(self) -> str:
        """The picture with its escape sequences."""
        return self._run("capture-pane", "-p", "-e")

    @property
    def is_as_found(self) -> bool:
        """Whether the screen is the usual one, and the mouse is not reported."""
        return self._run("display", "-p", "#{alternate_on} #{mouse_any_flag}").split() == ["0", "0"]

    async def until(self, text: str) -> None:
        await eventually(lambda: text in self.picture, within_s=30)

    def _run(self, *words: str) -> str:
        command = [str(self._program), "-S", str(self._folder / "tmux"), "-f", "/dev/null", *words]
        limit_s = MACHINE.limit_s(10)
        return subprocess.run(
            command, env=self._environ, capture_output=True, text=True, timeout=limit_s, check=True
        ).stdout
