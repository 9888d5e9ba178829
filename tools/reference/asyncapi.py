"""Signals, subjects and streams → one AsyncAPI 3.0 document; its payloads are the schemas beside it."""

from typing import Any, Final

import msgspec

from kgents_shared.bus.config import NatsConfig
from kgents_shared.contract.subjects import FIELDS
from kgents_shared.contract.wire import Wire
from reference import GENERATED
from reference.docstrings import summary
from reference.schemas import VERSION
from reference.signals import SIGNALS, STREAMS, TOKENS, address, example, messages

_SCHEMA_FORMAT: Final = "application/schema+json;version=draft-2020-12"


def document() -> dict[str, Any]:
    """The whole pipeline as one application: which channels there are, and which service does what on them."""
    return {
        "x-generated": GENERATED,
        "asyncapi": "3.0.0",
        "info": {
            "title": "kgents live infrastructure",
            "version": f"{VERSION}.0.0",
            "description": "A running system as a stream: current state, and every later change in order.",
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": NatsConfig().url.removeprefix("nats://"), "protocol": "nats"}},
        "channels": {signal: _channel(signal) for signal in FIELDS},
        "operations": {name: operation for signal in FIELDS for name, operation in _operations(signal).items()},
        "components": {
            "messages": {struct.__name__: _message(signal, struct) for signal in FIELDS for struct in messages(signal)},
        },
    }


def _channel(signal: str) -> dict[str, Any]:
    return {
        "address": address(signal),
        "description": f"{SIGNALS[signal].says}, such as `{example(signal)}`",
        "parameters": {
            field: {"description": TOKENS[field].meaning, "examples": [TOKENS[field].example]}
            for field in FIELDS[signal]
        },
        "messages": {
            struct.__name__: {"$ref": f"#/components/messages/{struct.__name__}"} for struct in messages(signal)
        },
        "x-jetstream": msgspec.to_builtins(STREAMS[signal]),
    }


def _operations(signal: str) -> dict[str, Any]:
    roles = [("send", writer) for writer in SIGNALS[signal].writers]
    roles += [("receive", reader) for reader in SIGNALS[signal].readers]
    return {
        f"{role}.{action}.{signal}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{signal}"},
            "tags": [{"name": role}],
        }
        for action, role in roles
    }


def _message(signal: str, struct: type[Wire]) -> dict[str, Any]:
    return {
        "name": struct.__name__,
        "summary": summary(struct),
        "contentType": "application/json",
        "payload": {
            "schemaFormat": _SCHEMA_FORMAT,
            "schema": {"$ref": f"schemas/{signal}.json#/$defs/{struct.__name__}"},
        },
    }
