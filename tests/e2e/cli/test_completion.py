"""Completion as a shell does it: a real bash sources the script and calls its function."""

import shutil
import subprocess
from pathlib import Path

import pytest
from nats.aio.client import Client

from support.kgents_command import PROGRAM, run_kgents
from support.nats_server import NatsServer

SCRIPT = """
eval "$(kgents completion bash)"
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_kgents_completion kgents
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(*words: str, nats: str = "nats://127.0.0.1:9") -> list[str]:
    """What bash offers for these words, of which the last one is incomplete."""
    script = SCRIPT.format(words=" ".join(f"'{word}'" for word in ("kgents", *words)))
    environ = {"PATH": f"{Path(PROGRAM).parent}:/usr/bin:/bin", "KGENTS__NATS__URL": nats, "HOME": "/nonexistent"}
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environ, timeout=30, check=True)
    assert run.stderr == ""
    return run.stdout.split()


def test_commands_are_completed() -> None:
    assert completed("he") == ["health"]
    assert set(completed("")) >= {"get", "describe", "up", "completion"}


def test_flags_are_completed() -> None:
    assert completed("get", "pods", "--sel") == ["--selector"]


def test_kinds_are_completed_also_behind_a_comma() -> None:
    assert completed("get", "dep") == ["deployment", "deployments"]
    assert completed("get", "pod,nod") == ["pod,node", "pod,nodes"]


def test_names_are_those_on_the_server(shop: Client, server: NatsServer) -> None:
    assert completed("get", "pods", "", nats=server.url) == ["cart-7f", "web-0"]
    assert completed("describe", "po", "ca", nats=server.url) == ["cart-7f"]
    assert completed("path", "svc", nats=server.url) == []
    assert completed("path", "service/", nats=server.url) == ["service/shop/cart"]


def test_without_a_server_no_name_is_completed_and_nothing_is_printed() -> None:
    assert completed("get", "pods", "c") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_each_shell_has_its_script(shell: str) -> None:
    code, out, _ = await run_kgents("completion", shell)
    assert code == 0
    assert f"_KGENTS_COMPLETE={shell}_complete" in out
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=out, text=True, check=True, timeout=20)
