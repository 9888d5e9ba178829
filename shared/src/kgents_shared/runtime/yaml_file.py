"""A YAML file → a mapping of plain data. Imported only for such a file: the parser is slow to import."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from kgents_shared.contract.section import Fault
from kgents_shared.runtime.ini import UnusableFileError

T = TypeVar("T")


class _StrictLoader(yaml.SafeLoader):
    """Plain data only, and a list of duplicate keys: YAML itself would silently keep the last one."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.twice: list[tuple[yaml.Mark, str]] = []

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                self.twice.append((key.start_mark, name))
            seen.add(name)
        return node


def read_yaml(path: Path) -> tuple[Mapping[object, object], list[Fault]]:
    """Read a file that holds one mapping, and find its duplicate keys.

    Raises:
        UnusableFileError: it cannot be read, or does not hold a mapping.
    """
    try:
        loader = _StrictLoader(path.read_text(encoding="utf-8"))
        content = loader.get_single_data()
    except OSError as error:
        raise UnusableFileError("a readable file", str(error.strerror), "check the path") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date such as 2026-13-01
        raise UnusableFileError("YAML", f"at {_problem(error)}", "check that line") from None
    if content is None:  # an empty file, or one of comments
        return {}, []
    if not isinstance(content, Mapping):
        raise UnusableFileError("a mapping at the top", type(content).__name__, "try: nats: {}")
    twice = sorted((mark.line + 1, mark.column + 1, name) for mark, name in loader.twice)
    return content, [
        Fault("", "each key once", f"{name} twice at line {line}, column {column}", "remove one of them")
        for line, column, name in twice
    ]


def read_struct(path: Path, of: type[T]) -> T:
    """Read a file that states one value of a type.

    Raises:
        ValueError: it cannot be read, or states something else; the text says what was expected.
    """
    try:
        content, faults = read_yaml(path)
        if faults:
            raise ValueError(str(faults[0]))
        return msgspec.convert(content, of)
    except (UnusableFileError, msgspec.ValidationError) as error:
        raise ValueError(str(error)) from None


def read_documents(text: str) -> list[Any]:
    """The documents of a text, as plain data.

    Raises:
        UnusableFileError: it is not YAML.
    """
    try:
        return [each for each in yaml.safe_load_all(text) if each is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnusableFileError("YAML", f"at {_problem(error)}", "check that line") from None


def _problem(error: Exception) -> str:
    """Describe a syntax error without the snippet and the quoted words of the parser: either may be a secret."""
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "an unknown line"
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"{place}: " + re.sub(r"""(['"]).*\1""", "…", problem)
