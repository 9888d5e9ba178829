"""Entities → JSON, YAML or names on stdout."""

from collections.abc import Sequence

import msgspec

from kgents_cli.output import say, say_document
from kgents_cli.sentence import clean
from kgents_shared.view.entity import EntityView
from kgents_shared.view.find import path_of
from kgents_shared.view.past import Version


def say_views(views: Sequence[EntityView], output: str) -> None:
    """Print the messages of entities as one list, or their names line by line."""
    if output == "name":
        for view in views:
            say(clean(path_of(view.ref)))
    else:
        say_list([view.record() for view in views], output)


def say_list(records: Sequence[bytes], output: str) -> None:
    """Print JSON objects as one list, in JSON or YAML."""
    document = b"[" + b",\n".join(records) + b"]"
    say_document(document if output == "json" else _yaml(document))


def say_object(record: bytes, output: str) -> None:
    """Print one JSON object, in JSON or YAML."""
    say_document(record if output == "json" else _yaml(record))


def _yaml(document: bytes) -> bytes:
    return msgspec.yaml.encode(msgspec.json.decode(document)).rstrip()


def version_record(version: Version) -> bytes:
    """One version as a JSON object; without `message` if the server dropped it because its time to live was over."""
    return msgspec.json.encode(
        {
            "signal": version.signal,
            "seq": version.seq,
            "at": version.at,
            "archived": version.is_archived,
            "message": msgspec.Raw(version.payload) if version.payload else None,
        }
    )
