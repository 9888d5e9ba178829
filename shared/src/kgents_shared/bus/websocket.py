"""nats-py's WebSocket transport, loaded for the first `ws://` address and not before.

nats-py imports aiohttp wherever it is installed. That is a third of what a process of ours needs to start, in time and
in memory, and an address with `ws://` is rare.
"""

import sys
from contextlib import suppress
from importlib import import_module
from typing import Final

LIBRARIES: Final = ("aiohttp", "multidict")
"""Loaded by name: a program that only reads needs neither."""


def leave_out() -> None:
    """Let nats-py begin as if aiohttp were not installed; an import of aiohttp later on finds it."""
    if "aiohttp" in sys.modules or "nats.aio.transport" in sys.modules:
        return  # paid for already
    sys.modules["aiohttp"] = None  # type: ignore[assignment]  # Python's own way to say that a module is not there
    try:
        import nats.aio.transport  # noqa: F401, PLC0415 - while aiohttp is not there
    finally:
        del sys.modules["aiohttp"]


def load() -> None:
    """Give nats-py what its WebSocket transport needs. Without aiohttp, nats-py says what to install."""
    from nats.aio import transport  # noqa: PLC0415 - as below

    with suppress(ImportError):
        for name in LIBRARIES:
            setattr(transport, name, import_module(name))
