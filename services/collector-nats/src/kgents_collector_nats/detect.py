"""The monitoring port of a NATS server on this machine → Detected, and the default of `monitor_urls`."""

from collections.abc import Mapping
from typing import Final

from kgents_shared.contract.address import join
from kgents_shared.runtime.detect import Detected, listens

HOST: Final = "127.0.0.1"
PORT: Final = 8222
MONITOR_URL: Final = f"http://{join(HOST, PORT)}"
"""The port of `nats-server -m 8222`."""


def detect(_: Mapping[str, str]) -> list[Detected]:
    """The server that is collected when nothing is configured."""
    if listens(HOST, PORT):
        return [Detected("NATS", MONITOR_URL)]
    needs = f"nats-server -m {PORT} on this machine, or monitor_urls or system in the section collector-nats"
    return [Detected("NATS", needs=needs)]
