"""What docs/deploy.md prints is what there is; and what any page prints of `kgents` is understood by it."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from kgents_cli.app import COMMANDS, kgents
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


PAGES: Final = [
    page
    for where in ("README.md", "docs/**/*.md", "services/*/README.md", "deploy/*/README.md")
    for page in ROOT.glob(where)
]


def kgents_commands(page: Path) -> Iterator[list[str]]:
    """The words after `kgents` of each line of a shell that runs it, up to what the shell takes for itself."""
    for block in re.findall(r"```(?:bash|sh)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if found := re.match(r"(?:[A-Z_0-9]+=\S+ +)*(?:\.venv/bin/)?kgents (.*)", line.strip()):
                yield shlex.split(re.split(r" (?:[|>&;]|2>)|   #", found[1])[0], comments=True)


@pytest.mark.parametrize("page", [each for each in PAGES if any(kgents_commands(each))], ids=lambda page: page.name)
def test_each_command_of_a_page_has_the_options_and_arguments_that_are_printed(page: Path) -> None:
    assert [(words, fault) for words in kgents_commands(page) if (fault := fault_of(words))] == []


def fault_of(words: list[str]) -> str:
    """Why a command would be refused before it does anything; files that it names need not be there."""
    command: click.Command = kgents
    context: click.Context | None = None
    try:
        while isinstance(command, click.Group) and words:
            context = command.make_context(command.name, [words[0]], parent=context)
            _, found, words = command.resolve_command(context, words)
            assert found is not None
            command = found
        command.make_context(command.name, words, parent=context)
    except click.UsageError as error:
        return "" if "does not exist" in error.format_message() else error.format_message()
    return ""


def test_a_command_that_is_printed_wrong_would_be_found() -> None:
    assert fault_of(["alerts", "silence", "namespace=shop", "--fro", "2h"])
    assert fault_of(["get", "all", "--output", "xml"])
    assert not fault_of(["replay", "incident.kgrec", "--offline"])


def _read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")
