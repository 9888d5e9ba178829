"""What identifies a machine → what may be published of it. Pure.

The machine id is confidential, as machine-id(5) says: it leaves no program of ours, but what is made of it does, which
is the same wherever it was read.
"""

import hmac
import re
from typing import Final

ALIAS: Final = "host-id"
LOOPBACK: Final = "loopback"
_KEY: Final = b"kgents"
_BYTES: Final = 16
_MACHINE_ID: Final = re.compile(r"[0-9a-f]{32}")
_NONE: Final = ("", "uninitialized")
"""What an image has before its first start."""


def host_id(machine_id: str) -> str:
    """The id of a machine; empty: it has none."""
    return _made(machine_id) if machine_id not in _NONE else ""


def shown(given: str) -> str:
    """What others call the id of a host: that of a machine id is made of it, any other is as it is."""
    return host_id(given) if _MACHINE_ID.fullmatch(given) else given


def alias(machine_id: str, boot_id: str) -> str:
    """What a machine is called until it is started again, by each collector; empty: this is not known.

    Clones of an image have one machine id and never one run of a kernel; containers that act as machines have one
    run of a kernel, and machine ids of their own.
    """
    return f"{ALIAS}:{_made(f'{machine_id} {boot_id}')}" if boot_id and machine_id not in _NONE else ""


def loopback(boot_id: str, namespace: int, port: int) -> str:
    """One end of a connection over loopback, as both its ends know it; empty: not known.

    The same address is on every machine, and in every network namespace. So what names it is the run of the kernel, and
    the kernel's number of the namespace.
    """
    return f"{LOOPBACK}:{_made(f'{boot_id} {namespace}')}/{port}" if boot_id and namespace else ""


def _made(text: str) -> str:
    return hmac.digest(text.encode(), _KEY, "sha256")[:_BYTES].hex()
