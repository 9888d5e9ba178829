"""Our own import contracts see what they forbid: services that import each other, a pure module that reaches I/O."""

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest
from grimp import ImportGraph
from importlinter import Contract

from import_rules import PureContract, ServicesContract

ROOT = Path(__file__).parents[2]


def test_the_environment_is_read_in_one_place() -> None:
    """Everything else takes a mapping, so that flags, tests and the file's rules come before it."""
    modules = [module for source in ("shared/src", "services", "tools") for module in (ROOT / source).rglob("*.py")]
    readers = [
        str(module.relative_to(ROOT))
        for module in modules
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")
        if isinstance(node.value, ast.Name) and node.value.id == "os"
    ]
    assert set(readers) == {"shared/src/kgents_shared/runtime/config.py"}


def graph(*imports: tuple[str, str]) -> ImportGraph:
    """The graph of some imports; what has no dot is a library."""
    made = ImportGraph()
    for module in {module for pair in imports for module in pair}:
        made.add_module(module, is_squashed="." not in module)
    for importer, imported in imports:
        made.add_import(importer=importer, imported=imported)
    return made


def services() -> Contract:
    return ServicesContract("services", {}, {"top": "cli", "shared": ["shared"]})


def pure() -> Contract:
    options = {"modules": ["kgents_shared.contract", "*.mapping"], "forbidden": ["asyncio", "os"]}
    return PureContract("pure", {}, options)


@pytest.mark.parametrize(
    ("imports", "is_kept"),
    [
        ([("cli.a", "one.a"), ("one.a", "shared.a"), ("two.a", "shared.a"), ("one.a", "os")], True),
        ([("one.a", "one.b"), ("one.a", "msgspec")], True),
        ([("one.a", "two.a")], False),
        ([("one.a", "cli.a")], False),
        ([("shared.a", "one.a")], False),
        ([("shared.a", "cli.a")], False),
    ],
)
def test_services_import_what_is_shared_alone(imports: Sequence[tuple[str, str]], is_kept: bool) -> None:
    assert services().check(graph(*imports), verbose=False).kept is is_kept


@pytest.mark.parametrize(
    ("imports", "is_kept"),
    [
        ([("kgents_collector_nats.mapping", "msgspec"), ("kgents_collector_nats.app", "asyncio")], True),
        ([("kgents_collector_k8s.mapping.pod", "os")], False),
        ([("kgents_collector_k8s.mapping", "kgents_collector_k8s.usage"), ("kgents_collector_k8s.usage", "os")], False),
        ([("kgents_shared.contract.codec", "os")], False),
    ],
)
def test_a_pure_module_reaches_no_input_or_output(imports: Sequence[tuple[str, str]], is_kept: bool) -> None:
    assert pure().check(graph(*imports), verbose=False).kept is is_kept


def test_a_module_that_says_that_it_is_pure_is_held_to_it() -> None:
    claimed = ("kgents_collector_docker.answers", "os")
    assert pure().check(graph(claimed), verbose=False).kept is False
    assert pure().check(graph(("kgents_collector_docker.app", "os")), verbose=False).kept is True
