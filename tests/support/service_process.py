"""A kgents service as a process of its own, as production runs it, to be stopped, killed and started again."""

import os
import sys
from pathlib import Path

from support.process import OwnProcess, spawn


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
        **settings: str,
    ) -> None:
        self.log = directory / f"{service}.{instance}.log"
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
