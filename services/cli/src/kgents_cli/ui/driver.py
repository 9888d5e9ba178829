"""Textual's driver, with keys read in the event loop.

Textual reads them in a thread, which wakes ten times a second if there are none, and each key that comes takes two more
switches between threads. It also ends the program by bytes that are no UTF-8, such as of a text that is pasted.
"""

import os
from codecs import getincrementaldecoder
from collections.abc import Iterable
from typing import Final

from textual._xterm_parser import XTermParser  # private; Textual is pinned to a minor version
from textual.constants import ESCAPE_DELAY
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

READ_BYTES: Final = 65_536
GONE: Final = 1
"""The exit code if the terminal is."""
LATER_S: Final = ESCAPE_DELAY + 0.01
"""After that an Esc is the key, and not the beginning of another."""


class LoopDriver(LinuxDriver):
    """Draws as Textual does."""

    _is_reading = False

    def start_application_mode(self) -> None:
        """Begin to draw and to read keys, also after it was suspended."""
        self._is_reading = True
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def run_input_thread(self) -> None:
        """What the thread does that Textual starts: it ends."""
        self._loop.call_soon_threadsafe(self._begin)

    def disable_input(self) -> None:
        """Read no more keys."""
        self._is_reading = False
        self._loop.remove_reader(self.fileno)
        super().disable_input()

    def send_message(self, message: Message) -> None:
        """Hand it to the app, in its own thread."""
        self._app.post_message(message)

    def _begin(self) -> None:
        if self._is_reading:
            self._parser = XTermParser(self._debug)
            self._decode = getincrementaldecoder("utf-8")("replace").decode
            self._loop.add_reader(self.fileno, self._take)

    def _take(self) -> None:
        try:
            data = os.read(self.fileno, READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self.fileno)
            self._app.exit(return_code=GONE)
            return
        self._hand(self._parser.feed(self._decode(data)))
        if b"\x1b" in data:
            self._loop.call_later(LATER_S, lambda: self._hand(self._parser.tick()))

    def _hand(self, messages: Iterable[Message]) -> None:
        for each in messages:
            self.process_message(each)
