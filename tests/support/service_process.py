"""A kgents service as a process of its own, as production runs it, to be stopped, killed and started again."""

import os
import sys
from pathlib import Path
from typing import Final

from support.process import OwnProcess, spawn

FAKETIME: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
"""From Debian's package faketime: gives a process a wall clock of its own."""


class ServiceProcess(OwnProcess):
    """`async with ServiceProcess("topology-builder", url, tmp_path)`; its log is in `log`."""

    def __init__(
        self,
        service: str,
        url: str,
        directory: Path,
        *,
        instance: str = "one",
        config: Path | None = None,
        own_clock: bool = False,
        sources: str = "",
        **settings: str,
    ) -> None:
        """`sources`: where its modules are found first, as those of another release."""
        self.log = directory / f"{service}.{instance}.log"
        self._offset = directory / f"{service}.{instance}.clock"
        self._arguments = ["run", service, *(["--config", str(config)] if config else [])]
        self._environment = {
            **os.environ,
            "KGENTS__NATS__URL": url,
            "KGENTS__CLUSTER": "test",
            "KGENTS__INSTANCE": instance,
            "KGENTS__DATA_DIR": str(directory / instance),
            "KGENTS__LOG__LEVEL": "debug",
            **{f"KGENTS__{name.upper()}": value for name, value in settings.items()},
        }
        if sources:
            self._environment["PYTHONPATH"] = sources
        if own_clock:
            self.step_clock(0)
            self._environment |= {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(self._offset),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }

    async def __aenter__(self) -> "ServiceProcess":
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = spawn(
                [sys.executable, "-m", "kgents_cli", *self._arguments],
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def step_clock(self, by_s: int) -> None:
        """From within a second on its wall clock is off by so much; its monotonic clock is not. Needs `own_clock`."""
        self._offset.write_text(f"{by_s:+d}\n")
