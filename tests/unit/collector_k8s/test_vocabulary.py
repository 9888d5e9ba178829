import importlib
import pkgutil
from collections.abc import Iterator
from typing import Final

from opentelemetry.semconv import attributes as stable
from opentelemetry.semconv._incubating import attributes, metrics

from kgents_collector_k8s.mapping.vocabulary import EXTENSIONS
from support.k8s_objects import MAPPED, load, look

SELECTOR: Final = "k8s.service.selector."
"""OpenTelemetry's, with a key of the selector as its last part."""


def conventions() -> Iterator[str]:
    for package in (stable, attributes, metrics):
        for module in pkgutil.iter_modules(package.__path__):
            names = vars(importlib.import_module(f"{package.__name__}.{module.name}"))
            yield from (value for name, value in names.items() if name.isupper() and isinstance(value, str))


def published() -> Iterator[str]:
    for entity in (entity for name in MAPPED for entity in look(load(name)).entities):
        yield from entity.attributes
        for connection in entity.connections:
            yield from connection.attributes


def own() -> set[str]:
    resources = ("cpu", "memory", "ephemeral_storage")
    return {name.replace("<resource>", resource) for name in EXTENSIONS for resource in resources}


def test_an_attribute_is_opentelemetrys_or_in_the_list_of_our_own() -> None:
    known = set(conventions()) | own()
    assert {name for name in published() if not name.startswith(SELECTOR)} <= known


def test_the_list_of_our_own_has_nothing_that_opentelemetry_has() -> None:
    assert not own() & set(conventions())


def test_the_list_of_our_own_has_nothing_that_is_not_published() -> None:
    assert {name.replace("<resource>", "cpu") for name in EXTENSIONS} <= set(published())
