"""Every word of the contract is declared once, referred to where it is used, and used by somebody."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from msgspec import Struct

from kgents_collector_otel.mapping.rules import RULES
from kgents_health_scorer.checks import CATALOGUE, PROFILES
from kgents_health_scorer.checks.check import SampleCheck
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import (
    Collections,
    DatabasePulse,
    EdgeSample,
    Inbound,
    Memory,
    Pool,
    Pulse,
    Reading,
    ResourcePulse,
)
from kgents_shared.contract.vocabulary import attributes, edges, kinds, reasons
from kgents_shared.contract.vocabulary.attributes import ATTRIBUTES, attribute, otel
from kgents_shared.contract.vocabulary.edges import CONNECTION_KINDS
from kgents_shared.contract.vocabulary.figures import FIELDS as FIGURES_OF
from kgents_shared.contract.vocabulary.figures import (
    FIGURES,
    coherency,
    database,
    docker,
    host,
    kubernetes,
    nats,
    pgbouncer,
    postgres,
    qdrant,
    redis,
    resource,
    traffic,
)
from kgents_shared.contract.vocabulary.figures import otel as otel_figures
from kgents_shared.contract.vocabulary.figures.figure import ANY, CUSTOM, Family
from kgents_shared.contract.vocabulary.kinds import KINDS
from semconv import __main__ as semconv
from support import k8s_objects, nats_samples
from support.build import NOW
from support.nats_samples import sample
from support.vocabulary import pattern, undeclared

ROOT = Path(__file__).parents[3] / "services"
MAPPINGS = sorted(
    path
    for collector in ROOT.glob("collector-*")
    for path in collector.rglob("*.py")
    if "source" not in path.parts and "targets" not in path.parts
)
MERGE = ROOT / "topology-builder/src/kgents_topology_builder/merge.py"
REPLAY = ROOT / "cli/src/kgents_cli/recorded/moved.py"
CHECKS = sorted((ROOT / "health-scorer").rglob("checks/*.py"))
FIELDS = (
    resource,
    nats,
    kubernetes,
    docker,
    host,
    database,
    postgres,
    pgbouncer,
    redis,
    qdrant,
    coherency,
    otel_figures,
    traffic,
)
SAMPLE_CHECKS = [
    check for checks in (CATALOGUE, *PROFILES.values()) for check in checks if isinstance(check, SampleCheck)
]
STRUCTS: dict[str, tuple[type[Struct], ...]] = {
    "": (ResourcePulse, DatabasePulse),
    "pool": (Pool,),
    "memory": (Memory,),
    "collections": (Collections,),
    "inbound": (Inbound,),
    "edges": (EdgeSample,),
}
"""Sections of a pulse whose figures have fields of their own."""
NAMES = {"peer", "kind", "weight"}
"""Fields in these that say what was measured and are no figures."""
ATTRIBUTE_FIELDS = [
    each for each in vars(attributes).values() if hasattr(each, "ATTRIBUTES") and each is not attributes
]
YOURS: set[str] = set()
"""No collector of ours sends these."""
OF_RULES = {name for rule in RULES for name in rule.figures}
"""What collector-otel's rules name, which are data."""
YOUR_KINDS = {kinds.CUSTOM, kinds.CLUSTER, kinds.SOURCE}
"""A program of your own, health-scorer, and topology-builder publish these; a collector does not."""
OF_OTHERS = {"advisory.py", "event.py", "__init__.py"}
"""Modules whose events have the reasons of others: JetStream's, Kubernetes', and causes of databases."""
YOUR_EDGES = {edges.SAME_AS}


def words(module: ModuleType) -> dict[str, str]:
    """Constant → word, or the pattern of a family."""
    return {
        name: value.pattern if isinstance(value, Family | attribute.Family) else value
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str | Family | attribute.Family)
    }


def references(paths: list[Path]) -> set[tuple[str, str]]:
    """(module, constant) of everything that these modules import from the vocabulary and use."""
    return {each for path in paths for each in _references(ast.parse(path.read_text(encoding="utf-8")))}


def _references(tree: ast.Module) -> Iterator[tuple[str, str]]:
    modules = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kgents_shared.contract.vocabulary")
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield modules[node.value.id], node.attr


def spelled(path: Path, vocabulary: set[str]) -> Iterator[str]:
    """Declared words that a module spells as keys of a literal instead of referring to them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        keys = node.keys if isinstance(node, ast.Dict) else [node.slice] if isinstance(node, ast.Subscript) else []
        for key in keys:
            if isinstance(key, ast.Constant) and key.value in vocabulary:
                yield f"{path.name}:{key.lineno} {key.value}"


def test_a_figure_is_declared_once() -> None:
    found = Counter((figure.section, figure.name) for figure in FIGURES)
    assert [key for key, count in found.items() if count > 1] == []
    assert list(FIGURES_OF.values()) == [field.FIGURES for field in FIELDS]


@pytest.mark.parametrize("field", FIELDS)
def test_a_figure_that_is_declared_is_measured(field: ModuleType) -> None:
    in_sections = {figure.name for figure in field.FIGURES if figure.section not in STRUCTS}
    used = {name for module, name in references(MAPPINGS) if module == field.__name__}
    constants = {name: word for name, word in words(field).items() if word in in_sections and word not in YOURS}
    assert {name for name, word in constants.items() if word not in OF_RULES} - used == set()


def test_a_rule_makes_declared_figures_of_the_kinds_that_they_are_declared_for() -> None:
    declared = {each.name: each for each in FIGURES if "otel" in each.sources or ANY in each.sources}
    assert OF_RULES - declared.keys() == set()
    for rule in RULES:
        kinds_of = {"process": {"app", "pod"}}.get(rule.of, {rule.of})
        assert all(not declared[name].kinds or kinds_of <= set(declared[name].kinds) for name in rule.figures)


def test_figures_with_fields_of_their_own_are_these_fields() -> None:
    declared = {(figure.section, figure.name) for figure in FIGURES if figure.section in STRUCTS}
    found = {
        (section, name)
        for section, structs in STRUCTS.items()
        for struct in structs
        for name in struct.__struct_fields__
        if (section and name not in NAMES) or name.endswith(("_percent", "_bytes")) or name == "morphisms"
    }
    assert declared == found


@pytest.mark.parametrize("path", [path for path in MAPPINGS if "Event(" in path.read_text(encoding="utf-8")], ids=str)
def test_what_makes_events_takes_declared_reasons_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            given = {arg.arg: ast.unparse(arg.annotation) for arg in node.args.args if arg.annotation is not None}
            assert given.get("reason", "ReasonName") == "ReasonName" or path.name in OF_OTHERS
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Event":
            assert not [each for each in node.keywords if each.arg == "reason" and isinstance(each.value, ast.Constant)]


def test_an_attribute_is_declared_once() -> None:
    assert [name for name, count in Counter(each.name for each in ATTRIBUTES).items() if count > 1] == []


@pytest.mark.parametrize("field", ATTRIBUTE_FIELDS)
def test_an_attribute_that_is_declared_is_published(field: ModuleType) -> None:
    used = {name for module, name in references([*MAPPINGS, MERGE, REPLAY]) if module == field.__name__}
    assert set(words(field)) - used == set()


def test_an_attribute_is_opentelemetrys_or_ours_by_name() -> None:
    registry = set(semconv.FILE.read_text(encoding="utf-8").splitlines())
    known = {name for each in otel.ATTRIBUTES for name in (spelled_out(each.name) if "{" in each.name else [each.name])}
    assert known - registry == set()
    ours = {each.name for each in ATTRIBUTES if each not in otel.ATTRIBUTES}
    assert [name for name in ours if not name.startswith("kgents.") or name.removeprefix("kgents.") in registry] == []


def spelled_out(family: str) -> list[str]:
    """The names that collectors make of a family; of a template of the registry the template alone."""
    parts = {
        "resource": ["cpu", "memory", "ephemeral_storage"],
        "bound": ["request", "limit"],
        "kind": ["deployment", "replicaset", "statefulset", "daemonset", "job", "cronjob"],
    }
    found = [family.removesuffix(".{key}")]
    for part, values in parts.items():
        found = [name.replace(f"{{{part}}}", value) for name in found for value in values]
    return sorted(set(found))


def test_the_registry_is_that_of_the_version_in_the_lock() -> None:
    assert semconv.FILE.read_text(encoding="utf-8") == semconv.registry(), "PYTHONPATH=tools python -m semconv"


@pytest.mark.parametrize(
    ("module", "yours"),
    [(kinds, YOUR_KINDS), (edges, YOUR_EDGES), (reasons, set())],
    ids=["kinds", "connection kinds", "reasons"],
)
def test_a_kind_that_is_declared_is_published(module: ModuleType, yours: set[str]) -> None:
    used = {name for of, name in references(MAPPINGS) if of == module.__name__}
    assert {name for name, word in words(module).items() if word not in yours} - used == set()


def test_no_figure_is_spelled_where_it_is_measured_or_judged() -> None:
    found: list[str] = []
    for path in MAPPINGS:
        source = path.relative_to(ROOT).parts[0].removeprefix("collector-")
        found += spelled(path, {each.name for each in FIGURES if each.section == CUSTOM and source in each.sources})
    for path in CHECKS:
        found += spelled(path, {each.name for each in FIGURES if each.section == CUSTOM})
    assert found == []


def test_no_kind_is_spelled_where_it_is_published_or_judged() -> None:
    assert [each for path in [*MAPPINGS, *CHECKS] for each in spelled_kinds(path)] == []


def spelled_kinds(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        given = [each.value for each in node.keywords if each.arg == "kind" and name in ("Connection", "Ref")]
        given += node.args[:1] if name == "Connection" else node.args[1:2] if name == "Ref" else []
        yield from (f"{path.name}:{each.lineno}" for each in given if isinstance(each, ast.Constant))


class Asked(dict[str, Any]):
    """A section of a pulse that notes what is asked of it, and answers the same to all."""

    def __init__(self, value: float | None) -> None:
        super().__init__()
        self.names: set[str] = set()
        self._value = value

    def get(self, key: str, default: Any = None) -> Any:
        self.names.add(key)
        return self._value


def asked(value_of: Callable[[Pulse], Reading], kind: str) -> set[tuple[str, str]]:
    """Section and name of all figures that a check asks for, whatever the other ones are."""
    found = set()
    for answer in (None, 0.0, 1e9):
        custom, replication = Asked(answer), Asked(answer)
        ref = Ref("c1", kind, "it")
        pulses: list[Pulse] = [ResourcePulse(ref=ref, source="x", timestamp=NOW, interval_s=10.0, custom=custom)]
        pulses += [
            DatabasePulse(
                ref=ref,
                source="db",
                backend=backend,
                timestamp=NOW,
                interval_s=10.0,
                phase="healthy",
                custom=custom,
                replication=replication,
            )
            for backend in ("postgres", "redis", "valkey", "qdrant", "pgbouncer")
        ]
        for pulse in pulses:
            value_of(pulse)
        found |= {("custom", name) for name in custom.names} | {("replication", name) for name in replication.names}
    return found


@pytest.mark.parametrize("check", SAMPLE_CHECKS, ids=lambda check: check.id)
def test_a_check_asks_for_figures_that_are_declared_for_its_kinds(check: SampleCheck) -> None:
    for kind in check.applies_to or {kinds.CUSTOM}:
        for section, name in asked(check.value, kind):
            declared = [each for each in FIGURES if each.section == section and pattern(each).fullmatch(name)]
            assert [each for each in declared if not each.kinds or kind in each.kinds], (kind, section, name)


def test_a_check_of_any_kind_asks_for_what_anybody_may_send() -> None:
    for check in SAMPLE_CHECKS:
        for section, name in asked(check.value, kinds.CUSTOM) if not check.applies_to else ():
            assert any(each.name == name and ANY in each.sources for each in FIGURES), (check.id, section, name)


def test_a_kind_is_declared_once_and_no_name_means_two() -> None:
    typed = Counter(name for kind in KINDS.values() for name in {kind.name, kind.plural, *kind.short_names})
    assert [name for name, count in typed.items() if count > 1] == []
    assert len(CONNECTION_KINDS) == len(words(edges))


def made_of_samples() -> Iterator[object]:
    """What the collectors' mappings make of real answers."""
    for first in (nats_samples.single(), *nats_samples.cluster()):
        facts = nats_samples.look(sample(nats_samples.moved_on(first)), sample(first))
        yield from (*facts.entities, *facts.pulses)
    for name in k8s_objects.MAPPED:
        yield from k8s_objects.look(k8s_objects.load(name)).entities


def test_what_collectors_make_of_samples_is_declared() -> None:
    assert sorted({word for each in made_of_samples() for word in undeclared(each)}) == []
