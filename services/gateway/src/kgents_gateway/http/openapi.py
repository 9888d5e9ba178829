"""Routes and questions → the OpenAPI 3.1 document."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kgents_gateway.http import routes
from kgents_gateway.http.problems import MEDIA_TYPE
from kgents_gateway.problems import TITLES, ProblemDetails
from kgents_gateway.questions import QUESTIONS
from kgents_gateway.questions.arguments import Arguments
from kgents_gateway.questions.question import Question
from kgents_gateway.stream.arguments import EntityStreamArguments, EventStreamArguments

REF: Final = "#/components/schemas/{name}"
_PROBLEMS: Final = (400, 401, 403, 404, 414, 421, 429, 431, 503)
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


def document(version: str) -> dict[str, Any]:
    """The document."""
    streams: dict[str, type[Arguments]] = dict.fromkeys(routes.ENTITY_STREAMS, EntityStreamArguments)
    streams |= dict.fromkeys(routes.EVENT_STREAMS, EventStreamArguments)
    arguments = [each.arguments for each in QUESTIONS.values()] + list(dict.fromkeys(streams.values()))
    types = [*arguments, *(each.answer for each in QUESTIONS.values()), ProblemDetails]
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    by_type = {id(type_): schema for type_, schema in zip(types, schemas, strict=True)}
    paths = {
        path: _operation(path, QUESTIONS[name], by_type[id(QUESTIONS[name].answer)], components)
        for path, name in routes.QUESTIONS
    }
    paths |= {path: _stream(path, of, components) for path, of in streams.items()}
    hidden = {of.__name__ for of in arguments}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kgents gateway",
            "version": version,
            "description": "A running system as a stream: entities, health, alerts and events, now and in the past.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": {name: each for name, each in components.items() if name not in hidden}},
    }


def _operation(path: str, question: Question[Any], answer: Mapping[str, Any], components: dict[str, Any]) -> Any:
    content = {"application/json": {"schema": answer}}
    return {
        "get": {
            "summary": question.summary,
            "operationId": _id(path),
            "parameters": _parameters(path, question.arguments, components),
            "responses": {
                "200": {"description": question.summary, "content": content},
                **({"304": {"description": "As it was when the client asked last"}} if question.is_of_now else {}),
                **_problems(components),
            },
        }
    }


def _stream(path: str, arguments: type[msgspec.Struct], components: dict[str, Any]) -> Any:
    content = {"text/event-stream": {"schema": {"type": "string"}}}
    summary = (arguments.__doc__ or "").strip()
    return {
        "get": {
            "summary": summary,
            "operationId": _id(path),
            "parameters": [
                *_parameters(path, arguments, components),
                {
                    "name": "Last-Event-ID",
                    "in": "header",
                    "required": False,
                    "schema": {"type": "string"},
                    "description": "Continue behind the event with this id, as browsers do by themselves.",
                },
            ],
            "responses": {"200": {"description": summary, "content": content}, **_problems(components)},
        }
    }


def _parameters(path: str, arguments: type[msgspec.Struct], components: dict[str, Any]) -> list[dict[str, Any]]:
    in_path = set(_PLACEHOLDER.findall(path))
    declared = components[arguments.__name__]
    required = set(declared.get("required", ()))
    found = []
    for name, schema in declared["properties"].items():
        parameter: dict[str, Any] = {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in required,
            "schema": {key: value for key, value in schema.items() if key != "description"},
            "description": schema.get("description", ""),
        }
        if schema.get("type") == "array":
            parameter |= {"style": "form", "explode": False}
            parameter["schema"]["minItems"] = 1  # a list without any is a parameter that is left out
        found.append(parameter)
    return found


def _problems(components: dict[str, Any]) -> dict[str, Any]:
    del components
    schema = {"$ref": REF.format(name=ProblemDetails.__name__)}
    return {
        str(status): {"description": TITLES[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in _PROBLEMS
    }


def _id(path: str) -> str:
    return "_".join(part.strip("{}") for part in path.split("/") if part not in ("", "api"))
