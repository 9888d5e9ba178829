"""Settings and where each comes from → the text of a YAML file. Pure."""

import json
from collections.abc import Iterator, Mapping

Key = tuple[str, ...]


def yaml_text(settings: Mapping[str, object], comments: Mapping[Key, str], *, heading: str) -> str:
    """A YAML file: nested settings, each with its comment at the end of its line."""
    return "\n".join([f"# {heading}", *_lines(settings, comments, ())]) + "\n"


def _lines(settings: Mapping[str, object], comments: Mapping[Key, str], at: Key) -> Iterator[str]:
    indent = "  " * len(at)
    for name, value in settings.items():
        key = (*at, name)
        comment = f"  # {comments[key]}" if key in comments else ""
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}:{comment}"
            yield from _lines(value, comments, key)
        else:
            # JSON is YAML, and quotes every text: none is taken for a number or a date.
            yield f"{indent}{name}: {json.dumps(value, ensure_ascii=False)}{comment}"
