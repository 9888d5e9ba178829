"""Routes and questions → the OpenAPI 3.1 document."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from kgents_gateway.access.identity import KnownAs
from kgents_gateway.decisions import DECISIONS
from kgents_gateway.decisions.decision import Decision, Nothing
from kgents_gateway.http import routes
from kgents_gateway.http.problems import MEDIA_TYPE
from kgents_gateway.problems import TITLES, ProblemDetails
from kgents_gateway.questions import QUESTIONS
from kgents_gateway.questions.arguments import Arguments
from kgents_gateway.questions.question import Question
from kgents_gateway.stream.arguments import EntityStreamArguments, EventStreamArguments
from kgents_shared.contract.tokens import WRITE_ALERTS

REF: Final = "#/components/schemas/{name}"
_PROBLEMS: Final = (400, 401, 403, 404, 414, 421, 429, 431, 503)
_OF_DECISIONS: Final = (409, 413, 415)
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


def document(version: str) -> dict[str, Any]:
    """The document."""
    streams: dict[str, type[Arguments]] = dict.fromkeys(routes.ENTITY_STREAMS, EntityStreamArguments)
    streams |= dict.fromkeys(routes.EVENT_STREAMS, EventStreamArguments)
    arguments = [each.arguments for each in QUESTIONS.values()] + list(dict.fromkeys(streams.values()))
    arguments += dict.fromkeys(each.arguments for each in DECISIONS)
    written = [type_ for each in DECISIONS for type_ in (each.body, each.answer) if type_ is not Nothing]
    types = [*arguments, *(each.answer for each in QUESTIONS.values()), *written, KnownAs, ProblemDetails]
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    by_type = {id(type_): schema for type_, schema in zip(types, schemas, strict=True)}
    paths = {
        path: _operation(path, QUESTIONS[name], by_type[id(QUESTIONS[name].answer)], components)
        for path, name in routes.QUESTIONS
    }
    paths |= {path: _stream(path, of, components) for path, of in streams.items()}
    paths[routes.IDENTITY] = _identity(by_type[id(KnownAs)], components)
    for each in DECISIONS:
        paths.setdefault(each.path, {})[each.method.lower()] = _decision(each, by_type, components)
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


def _decision(decision: Decision[Any, Any], by_type: Mapping[int, Any], components: dict[str, Any]) -> Any:
    body: dict[str, Any] = {}
    if decision.body is not Nothing:
        content = {"application/json": {"schema": by_type[id(decision.body)]}}
        body = {"requestBody": {"required": True, "content": content}}
    answer = {"application/json": {"schema": by_type[id(decision.answer)]}}
    return {
        "summary": decision.summary,
        "description": f"Needs the right {WRITE_ALERTS}. It may be sent again: what is so already is not stored twice.",
        "operationId": decision.name,
        "parameters": _parameters(decision.path, decision.arguments, components),
        **body,
        "responses": {
            "200": {"description": decision.summary, "content": answer},
            **_problems(components, (*_PROBLEMS, *_OF_DECISIONS)),
        },
    }


def _identity(answer: Mapping[str, Any], components: dict[str, Any]) -> Any:
    summary = "Who asks, and what it may read and do"
    content = {"application/json": {"schema": answer}}
    return {
        "get": {
            "summary": summary,
            "operationId": _id(routes.IDENTITY),
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


def _problems(components: dict[str, Any], statuses: Sequence[int] = _PROBLEMS) -> dict[str, Any]:
    del components
    schema = {"$ref": REF.format(name=ProblemDetails.__name__)}
    return {
        str(status): {"description": TITLES[status], "content": {MEDIA_TYPE: {"schema": schema}}} for status in statuses
    }


def _id(path: str) -> str:
    return "_".join(part.strip("{}") for part in path.split("/") if part not in ("", "api"))
