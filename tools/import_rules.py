"""Import-linter contracts that its own kinds cannot express; new services and modules are covered automatically."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

_CLAIM = "Pure."


class ServicesContract(Contract):
    """The command imports services, services import shared packages; neither the reverse nor services one another."""

    type_name = "services"

    top = fields.StringField()
    shared = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        top: str = self.top  # type: ignore[assignment]  # a field becomes its value
        shared: set[str] = self.shared  # type: ignore[assignment]
        roots = {module.partition(".")[0] for module in graph.modules if not graph.is_module_squashed(module)}
        wrong = [
            f"{importer} imports {imported}"
            for importer, imported in _imports(graph)
            if (to := imported.partition(".")[0]) in roots
            and (own := importer.partition(".")[0]) != to
            and own != top
            and (own in shared or to not in shared)
        ]
        return _outcome(wrong)

    def render_broken_contract(self, check: ContractCheck) -> None:
        _render(check)


class PureContract(Contract):
    """Modules with these names, and all marked `Pure.`, import no I/O, clock or log, directly or indirectly."""

    type_name = "pure"

    modules = fields.SetField(subfield=fields.StringField())
    forbidden = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        patterns: set[str] = self.modules  # type: ignore[assignment]
        forbidden: set[str] = self.forbidden  # type: ignore[assignment]
        ours = sorted(module for module in graph.modules if not graph.is_module_squashed(module))
        claiming = {module for module in ours if _claims(module)}
        pure = {
            module
            for module in ours
            for part in _itself_and_packages(module)
            if part in claiming or any(fnmatchcase(part, pattern) for pattern in patterns)
        }
        chains = [
            chain
            for module in sorted(pure)
            for library in sorted(forbidden & graph.modules)
            if (chain := graph.find_shortest_chain(module, library)) and pure.isdisjoint(chain[1:])
        ]
        return _outcome([" → ".join(chain) for chain in chains])

    def render_broken_contract(self, check: ContractCheck) -> None:
        _render(check)


def _imports(graph: ImportGraph) -> Iterator[tuple[str, str]]:
    for module in sorted(graph.modules):
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            yield module, imported


def _itself_and_packages(module: str) -> Iterator[str]:
    parts = module.split(".")
    yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _claims(module: str) -> bool:
    """Whether the first line of a module's docstring contains `Pure.`."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return False
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return _CLAIM in docstring.partition("\n")[0]


def _outcome(wrong: list[str]) -> ContractCheck:
    return ContractCheck(kept=not wrong, metadata={"wrong": wrong})


def _render(check: ContractCheck) -> None:
    for line in check.metadata["wrong"]:
        output.print_error(f"- {line}")
    output.new_line()
