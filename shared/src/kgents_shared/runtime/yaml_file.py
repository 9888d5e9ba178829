"""A YAML file → a mapping of plain data. Imported only for such a file: the parser is slow to import."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kgents_shared.runtime.ini import UnusableFileError


class _StrictLoader(yaml.SafeLoader):
    """Plain data only, and no key twice: YAML itself would silently keep the last one."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.MarkedYAMLError(problem=f"found the key {key.value} twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
        return node


def read_yaml(path: Path) -> Mapping[object, object]:
    """Read a file that holds one mapping.

    Raises:
        UnusableFileError: it cannot be read, or holds something else.
    """
    try:
        # A subclass of SafeLoader, which the rule cannot see.
        document = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506
    except OSError as error:
        raise UnusableFileError(f"expected a readable file, found: {error.strerror}; check the path") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date such as 2026-13-01
        raise UnusableFileError(f"expected YAML, found at {_problem(error)}") from None
    if document is None:  # an empty file, or one of comments
        return {}
    if not isinstance(document, Mapping):
        raise UnusableFileError(f"expected a mapping at the top, found {type(document).__name__}; try nats: {{}}")
    return document


def _problem(error: Exception) -> str:
    """Describe a syntax error without the snippet and the quoted words of the parser: either may be a secret."""
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "an unknown line"
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"{place}: " + re.sub(r"""(['"]).*\1""", "…", problem)
