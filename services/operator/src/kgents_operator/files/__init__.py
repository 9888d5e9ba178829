"""Scripts and settings that pods run with; those of deploy/databases are the same files."""

from functools import cache
from importlib import resources


@cache
def text(name: str) -> str:
    """What is in a file."""
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
