"""Completion as a shell does it: a real bash, zsh or fish reads the script and offers what it makes of it."""

import subprocess
from pathlib import Path

import pytest
from nats.aio.client import Client

from support.kgents_command import PROGRAM
from support.nats_server import NatsServer
from support.programs import need
from support.waiting import MACHINE

BASH = """
eval "$(kgents completion bash)"
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_kgents_completion kgents
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
autoload -U compinit
compinit -D -u
eval "$(kgents completion zsh)"
compadd() {{ print -rl -- "${{(P@)@[-1]}}" }}
_describe() {{ print -rl -- "${{(P@)3%%:*}}" }}
words=({words})
CURRENT=${{#words}}
_kgents_completion
"""
"""The two functions stand for the menu, which only a terminal has."""
FISH = """
kgents completion fish | source
for offer in (complete -C {line}); string split -m 1 -f 1 (printf '\\t') -- $offer; end
true
"""
SHELLS = {"bash": ["bash", "-c"], "zsh": ["zsh", "-f", "-c"], "fish": ["fish", "--no-config", "-c"]}
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completed(*words: str, nats: str = "nats://127.0.0.1:9", shell: str = "bash") -> list[str]:
    """What a shell offers for these words, of which the last one is incomplete."""
    program, *flags = SHELLS[shell]
    quoted = " ".join(f"'{word}'" for word in ("kgents", *words))
    script = SCRIPTS[shell].format(words=quoted, line=f"'{' '.join(('kgents', *words))}'")
    environ = {"PATH": f"{Path(PROGRAM).parent}:/usr/bin:/bin", "KGENTS__NATS__URL": nats, "HOME": "/nonexistent"}
    command = [str(need(program)), *flags, script]
    limit_s = MACHINE.limit_s(30)
    run = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=limit_s, check=True)
    assert run.stderr == ""
    return run.stdout.split()


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_offers_the_same(shell: str, shop: Client, server: NatsServer) -> None:
    assert completed("he", shell=shell) == ["health"]
    assert completed("get", "dep", shell=shell) == ["deployment", "deployments"]
    assert completed("get", "pods", "", nats=server.url, shell=shell) == ["cart-7f", "web-0"]
    assert completed("describe", "po", "ca", nats=server.url, shell=shell) == ["cart-7f"]


def test_commands_are_completed() -> None:
    assert completed("he") == ["health"]
    assert set(completed("")) >= {"get", "describe", "up", "completion"}


def test_flags_are_completed() -> None:
    assert completed("get", "pods", "--sel") == ["--selector"]


def test_kinds_are_completed_also_behind_a_comma() -> None:
    assert completed("get", "dep") == ["deployment", "deployments"]
    assert completed("get", "pod,nod") == ["pod,node", "pod,nodes"]


def test_names_are_those_on_the_server(shop: Client, server: NatsServer) -> None:
    assert completed("path", "svc", nats=server.url) == []
    assert completed("path", "service/", nats=server.url) == ["service/shop/cart"]


def test_without_a_server_no_name_is_completed_and_nothing_is_printed() -> None:
    assert completed("get", "pods", "c") == []
