"""What docs/deploy.md prints is what there is."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import click
import pytest

from kgents_cli.app import COMMANDS
from release.__main__ import main
from release.closure import OWN, environment_of, needed
from support.programs import need

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
LINES: Final = [
    line.split("   #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


def beginning(words: str) -> list[str]:
    found = [line for line in LINES if line.startswith(words)]
    assert found, f"the page prints nothing that begins with {words}"
    return found


@pytest.mark.parametrize("line", beginning("helm template"))
def test_the_chart_is_rendered_by_the_line_as_printed(line: str) -> None:
    environ = {**os.environ, "PATH": f"{need('helm').parent}:{os.environ['PATH']}"}
    done = subprocess.run(shlex.split(line), cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "kind: Deployment" in done.stdout


@pytest.mark.parametrize("line", beginning("kubectl apply -k"))
def test_an_overlay_is_built_from_the_folder_as_printed(line: str) -> None:
    command = [str(need("kubectl")), "kustomize", shlex.split(line)[-1]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_profile_of_compose_that_is_printed_is_one() -> None:
    known = set(
        re.findall(r"\w+", " ".join(re.findall(r"profiles: &?\w* ?\[(.+)\]", _read("deploy/compose/compose.yaml"))))
    )
    printed = {name for line in beginning("docker compose") for name in re.findall(r"--profile (\w+)", line)}
    assert printed <= known


def test_every_file_that_is_printed_is_there() -> None:
    paths = {word.rstrip("*") for line in LINES for word in line.split() if word.startswith("deploy/")}
    assert [path for path in sorted(paths) if not list(ROOT.glob(f"{path}*"))] == []


def test_the_wheels_that_are_printed_need_no_other_of_ours() -> None:
    (line,) = beginning("/opt/kgents/bin/pip install")
    found = re.fullmatch(r".* dist/wheels/kgents_\{(.+)\}-\*\.whl", line)
    assert found
    printed = {f"{OWN}{name.replace('_', '-')}" for name in found[1].split(",")}
    environment = environment_of("3.11")
    wanted = needed("kgents-cli", environment) | needed("kgents-collector-host", environment)
    assert printed == {name for name in wanted if name.startswith(OWN)}


def test_every_target_and_command_that_is_printed_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", _read("Makefile"), re.MULTILINE))
    assert {line.split()[1] for line in beginning("make")} <= targets
    assert isinstance(main, click.Group)
    tools = {name for line in LINES for name in re.findall(r"-m release (\w+)", line)}
    assert tools <= set(main.commands)
    used = {name for line in LINES for name in re.findall(r"(?:^|&& )kgents (\w+)", line)}
    assert used <= set(COMMANDS)


def _read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")
