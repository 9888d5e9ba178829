"""The settings of this collector: read by `runtime.config` before source/ opens anything."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from kgents_shared.contract.section import Fault, Section


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which machine this is, how often to read it, and how much of it to show."""

    name: str = ""
    """The name of the machine, which no other one of the cluster may have. Empty: its host name."""

    root: str = "/"
    """Where the machine's files are: in a container, where its `/` is mounted, read-only."""

    poll_interval_s: Annotated[float, Meta(ge=1)] = 15.0
    """Seconds from one poll to the next. A poll reads one small file for each process."""

    max_processes: Annotated[int, Meta(ge=1)] = 100
    """Programs shown, where the processes of one program in one unit or container are one entity: those that listen
    first, then the largest. One entity named `overflow` says how many are left out."""

    remote_file_systems: bool = False
    """Whether to ask network and FUSE file systems for their space. One whose server is gone does not answer: then a
    process waits for it that cannot be killed."""

    @property
    def host_name(self) -> str:
        """The name of the machine."""
        return self.name or socket.gethostname()

    def faults(self) -> Iterator[Fault]:
        if not self.root.startswith("/"):
            yield Fault("root", "an absolute path", f'"{self.root}"', "try: /host")

    def check(self) -> Iterator[Fault]:
        if not Path(self.root, "proc/stat").is_file():
            advice = "mount the machine's / there, with its /proc"
            yield Fault("root", "a directory with the machine's /proc", f'"{self.root}"', advice)
