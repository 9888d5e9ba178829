"""The schemas of Kubernetes itself, in its last three minor versions: what an API server would refuse, without one."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from support.programs import need

VERSIONS: Final = ("1.35.0", "1.36.0", "1.37.0")


def faults(document: dict[str, Any], version: str) -> list[str]:
    """What a version refuses of an object, with its place; unknown keys as well."""
    validator = _validator(document["apiVersion"], document["kind"], version)
    return [
        f"{_name(document)}{error.json_path[1:]}: {error.message[:200]}" for error in validator.iter_errors(document)
    ]


@cache
def _validator(api_version: str, kind: str, version: str) -> jsonschema.Draft202012Validator:
    folder = need("kubernetes-schemas") / f"v{version}-local-strict"
    group, _, number = api_version.rpartition("/")
    words = [kind.lower(), *([group.split(".")[0]] if group else []), number]
    schema = json.loads((folder / f"{'-'.join(words)}.json").read_text())
    return jsonschema.Draft202012Validator(schema, registry=_registry(folder))


@cache
def _registry(folder: Path) -> Registry[Any]:
    definitions = json.loads((folder / "_definitions.json").read_text())
    found: Registry[Any] = Registry().with_resource("_definitions.json", DRAFT202012.create_resource(definitions))
    return found


def _name(document: dict[str, Any]) -> str:
    return f"{document['kind']} {document['metadata']['name']}"
