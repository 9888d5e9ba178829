"""Settings of the services, and the Deployments that run them → the schema of the chart's values.

Helm refuses what the services would refuse: a misspelt key, a number out of bounds. A secret has no place among values,
which end in a ConfigMap and in Helm's history: the schema has the path of its file alone.
"""

import json
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from kgents_cli.installed import load_service
from kgents_shared.bus.config import Secret
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.cost.prices import PriceList

CHART: Final = Path(__file__).parents[2] / "deploy/helm/kgents"
SERVICES: Final = CHART / "files/services.yaml"
SCHEMA: Final = CHART / "values.schema.json"
SET_BY_THE_IMAGE: Final = ("data_dir", "probes", "instance")
"""Settings that the pods have by themselves."""
SET_BY_THE_CHART: Final = {"gateway": "prices_file", "collector-k8s": "manifests"}
"""Settings that follow from other values: `prices`, `manifests`."""
_HIDDEN: Final = "x-hidden"
_REF: Final = "#/$defs/{name}"
_TEXT: Final = {"type": "string"}
_NAMES: Final = {"type": "array", "items": _TEXT}
_ANY: Final = {"type": "object"}
_PEERS: Final = {"type": "array", "items": _ANY}
_MANIFESTS: Final = {
    "type": "object",
    "propertyNames": {"pattern": "^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$"},  # of volumes and containers
    "additionalProperties": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"volume": _ANY, "namespace": _TEXT, "path": _TEXT, "container": _ANY},
        "required": ["volume"],
    },
}
_PORT: Final = {"type": "integer", "minimum": 1, "maximum": 65535}


def services() -> dict[str, dict[str, Any]]:
    """What the workload of each service is: name → facts."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(SERVICES.read_text(encoding="utf-8"))
    return found


def document() -> str:
    """`values.schema.json`."""
    config, prices, definitions = _settings()
    amounts = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
    resources = _object(requests=amounts, limits=amounts)
    service = _object(
        enabled={"type": ["boolean", "null"]},
        replicas={"type": "integer", "minimum": 1},
        secret=_TEXT,
        resources=resources,
    )
    schema = _object(
        profile={"enum": ["hub", "edge", "host", "all"]},
        image=_object(
            registry=_TEXT, tag=_TEXT, pullPolicy={"enum": ["Always", "IfNotPresent", "Never"]}, pullSecrets=_NAMES
        ),
        config=config,
        prices=prices,
        manifests=_MANIFESTS,
        services=_object(**dict.fromkeys(services(), service)),
        provision=_object(enabled={"type": "boolean"}, secret=_TEXT, resources=resources),
        rbac=_object(create={"type": "boolean"}),
        networkPolicy=_object(
            enabled={"type": "boolean"},
            nats=_object(peers=_PEERS, ports={"type": "array", "items": _PORT}),
            metrics=_object(peers=_PEERS),
            clients=_object(peers=_PEERS),
        ),
        serviceMonitor=_object(enabled={"type": "boolean"}, interval=_TEXT, labels=_ANY),
        nodeSelector=_ANY,
        tolerations=_PEERS,
        priorityClassName=_TEXT,
    )
    schema["properties"]["global"] = _ANY  # what a chart that holds this one gives to all of its own
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Values of the chart kgents"}
    return json.dumps({**head, **schema, "$defs": definitions}, indent=2, ensure_ascii=False) + "\n"


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _settings() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The schemas of `config` and `prices`, and what they refer to."""
    sections = {name: load_service(name).config for name in services()}
    types = [CommonConfig, PriceList, *sections.values()]
    found, definitions = msgspec.json.schema_components(types, schema_hook=_hook, ref_template=_REF)
    for definition in definitions.values():
        _by_file(definition)
        if "description" in definition:  # of a docstring, whose indentation older Pythons keep
            definition["description"] = cleandoc(definition["description"])
    common = definitions.pop(_name_of(found[0]))
    properties = {name: each for name, each in common["properties"].items() if name not in SET_BY_THE_IMAGE}
    properties["cluster"] = {"type": "string", "minLength": 1}
    properties["nats"] = {"allOf": [properties["nats"], {"required": ["url"]}]}  # loopback is no server of a pod's
    _, prices, *references = found
    of_sections = dict(zip(sections, references, strict=True))
    for section, setting in SET_BY_THE_CHART.items():
        del definitions[_name_of(of_sections[section])]["properties"][setting]
    config = _object(**properties, **of_sections)
    config["required"] = ["cluster", "nats"]
    used = set(_used([config, prices], definitions))
    return config, prices, {name: each for name, each in sorted(definitions.items()) if name in used}


def _hook(kind: type) -> dict[str, Any]:
    if issubclass(kind, Secret):
        return {_HIDDEN: True}
    raise NotImplementedError(f"a setting of type {kind.__name__} has no schema yet")


def _by_file(definition: dict[str, Any]) -> None:
    """Leave no place for a secret; only for the path of its file."""
    properties = definition.get("properties", {})
    secrets = [name for name, each in properties.items() if _HIDDEN in json.dumps(each)]
    for name in secrets:
        del properties[name]
        properties[f"{name}_file"] = _TEXT
    if "required" in definition:
        definition["required"] = [f"{name}_file" if name in secrets else name for name in definition["required"]]


def _name_of(reference: dict[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _used(node: Any, definitions: dict[str, Any]) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            name = _name_of(node)
            yield name
            yield from _used(definitions[name], definitions)
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _used(each, definitions)
