"""Commands that only read start without what only services need, however they are used."""

import subprocess
import sys

import pytest

from kgents_cli.app import COMMANDS, SERVING
from support.nats_server import NatsServer
from support.waiting import MACHINE

SLOW_TO_IMPORT = {
    "aiohttp.client",  # the bare name is asked for, and refused
    "kgents_shared.runtime.logging",
    "kgents_shared.runtime.service",
    "opentelemetry",
    "prometheus_client",
    "rich",
    "structlog",
    "uvloop",
    "yaml",
}
NEEDED = {"doctor": {"yaml"}}
"""A kubeconfig is YAML."""
WORDS = {
    "completion": ["bash"],
    "describe": ["pod", "cart"],
    "diff": ["-1s"],
    "get": ["all"],
    "history": ["pod", "cart"],
    "impact": ["pod", "cart"],
    "path": ["cart", "web"],
    "watch": ["--help"],  # it would not end
}
LOCAL = ("completion", "services", "watch")
"""Commands that are started without a server."""


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in SERVING])
async def test_a_command_that_reads_imports_nothing_slow(command: str, server: NatsServer) -> None:
    words = [*WORDS.get(command, []), *([] if command in LOCAL else ["--nats", server.url])]
    program = [sys.executable, "-X", "importtime", "-m", "kgents_cli", command, *words]
    run = subprocess.run(program, capture_output=True, text=True, timeout=MACHINE.limit_s(30), check=False)
    imported = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
    assert "kgents_cli.app" in imported, run.stderr
    assert imported & SLOW_TO_IMPORT <= NEEDED.get(command, set())


@pytest.mark.parametrize("module", ["kgents_shared.runtime.process", "kgents"])
def test_a_process_without_probes_has_no_http_library(module: str) -> None:
    script = (
        f"import {module}, sys; import kgents_shared.bus.client; assert 'aiohttp' not in sys.modules; import aiohttp"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=MACHINE.limit_s(20))
