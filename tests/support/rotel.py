"""Rotel, a collector for OpenTelemetry that is not ours: it receives OTLP, batches, and forwards it."""

import os
import subprocess
from functools import partial
from pathlib import Path
from typing import Self

from support.ports import free_port
from support.process import OwnProcess, accepts, spawn, until_ready
from support.programs import need


class Rotel(OwnProcess):
    """`async with Rotel(folder, to) as rotel`: what comes to `rotel.url` goes on to the receiver `to`, over HTTP."""

    def __init__(self, folder: Path, to: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._to = to

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        log = self._folder / "rotel.log"
        command: list[str | Path] = [
            need("rotel"), "start",
            "--otlp-http-endpoint", f"127.0.0.1:{self.port}",
            "--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}",
            "--exporter", "otlp", "--otlp-exporter-endpoint", self._to, "--otlp-exporter-protocol", "http",
            "--batch-timeout", "100ms",
            "--pid-file", self._folder / "rotel.pid",
        ]  # fmt: skip
        with log.open("wb") as output:
            self._process = spawn(command, stdout=output, stderr=subprocess.STDOUT, env=dict(os.environ))
        await until_ready(self._process, partial(accepts, self.port), log)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.is_running:
            self.kill()
