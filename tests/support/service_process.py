"""A kgents service as a process of its own, as production runs it, to be stopped, killed and started again."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path


class ServiceProcess:
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
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> "ServiceProcess":
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kgents_cli", *self._arguments],
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self._process is not None
        self._process.terminate()
        return await self.ended()

    async def ended(self) -> int:
        """Wait until it ends by itself; returns the exit code."""
        assert self._process is not None
        code = await asyncio.to_thread(self._process.wait, 30)
        self._process = None
        return code

    def pause(self) -> None:
        """SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
