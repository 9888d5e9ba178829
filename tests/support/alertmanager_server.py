"""A real Prometheus Alertmanager on a port of its own, which notifies a recorder: what people would get."""

import asyncio
import json
import subprocess
from math import ceil
from pathlib import Path
from typing import Any

import httpx

from support.http_stand_in import Got, Reply, StandIn
from support.ports import free_port
from support.process import OwnProcess, spawn, until_ready
from support.programs import need
from support.waiting import MACHINE

PEER_TIMEOUT_S = 3.0
"""How long the second of a cluster waits to hear that the first has notified."""


class Recorder:
    """What an Alertmanager notified, as `[(status, incident), …]`; of the watchdog its name."""

    def __init__(self) -> None:
        self.notified: list[tuple[str, str]] = []
        self._server = StandIn(self._take)

    @property
    def url(self) -> str:
        return self._server.url

    async def __aenter__(self) -> "Recorder":
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.__aexit__()

    def _take(self, got: Got) -> Reply:
        for each in json.loads(got.body)["alerts"]:
            labels = each["labels"]
            self.notified.append((each["status"], labels.get("kgents_incident") or labels["alertname"]))
        return Reply()


class AlertmanagerServer(OwnProcess):
    """`async with AlertmanagerServer(tmp_path, recorder.url) as server`; it notifies within a second."""

    def __init__(self, directory: Path, notify: str, *, cluster_port: int = 0, peer_port: int = 0) -> None:
        self.directory = directory
        self.port = free_port()
        self._notify = notify
        self._cluster = ["--cluster.listen-address="]
        if cluster_port:
            self._cluster = [
                f"--cluster.listen-address=127.0.0.1:{cluster_port}",
                "--cluster.advertise-address=127.0.0.1:" + str(cluster_port),
                f"--cluster.peer-timeout={ceil(MACHINE.limit_s(PEER_TIMEOUT_S))}s",
                "--cluster.settle-timeout=1s",
                *([f"--cluster.peer=127.0.0.1:{peer_port}"] if peer_port else []),
            ]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "AlertmanagerServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    async def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "alertmanager.yml"
        config.write_text(
            json.dumps(  # which is YAML, too
                {
                    "route": {
                        "receiver": "people", "group_by": ["kgents_incident"],
                        "group_wait": "100ms", "group_interval": "200ms", "repeat_interval": "1h",
                    },
                    "receivers": [
                        {"name": "people", "webhook_configs": [{"url": self._notify, "send_resolved": True}]}
                    ],
                }
            )
        )  # fmt: skip
        with (self.directory / "alertmanager.log").open("ab") as log:
            self._process = spawn(
                [
                    need("prometheus-alertmanager"), f"--config.file={config}",
                    f"--storage.path={self.directory / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}",
                    *self._cluster,
                ],
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        await until_ready(self._process, lambda: asyncio.to_thread(self._is_ready), self.directory / "alertmanager.log")

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    async def alerts(self) -> list[dict[str, Any]]:
        """What it holds as active."""
        async with httpx.AsyncClient(trust_env=False) as client:
            found: list[dict[str, Any]] = (await client.get(f"{self.url}/api/v2/alerts")).json()
        return found
