"""A Struct's source → the string beneath each field. Python discards these, and msgspec never gets them."""

import ast
import inspect
import re
import sys
import textwrap
from itertools import pairwise
from types import ModuleType

from msgspec import Struct


def meanings(struct: type[Struct]) -> dict[str, str]:
    """Field → its docstring as one line; inherited fields too, fields without a docstring left out.

    A constant that lists values (`One of STATES`) is replaced by them, since a reader of the document does not have it.
    """
    owners = [owner for owner in reversed(struct.__mro__) if issubclass(owner, Struct) and owner is not Struct]
    return {field: meaning for owner in owners for field, meaning in _own(owner).items()}


def summary(struct: type[Struct]) -> str:
    """The first paragraph of the Struct's docstring, as one line."""
    return _one_line(inspect.cleandoc(struct.__doc__ or "").partition("\n\n")[0])


def _own(struct: type[Struct]) -> dict[str, str]:
    """Of the Struct's own body: a field's meaning is the string that follows its annotation."""
    module = ast.parse(textwrap.dedent(inspect.getsource(struct)))
    body = [statement for class_ in module.body if isinstance(class_, ast.ClassDef) for statement in class_.body]
    found: dict[str, str] = {}
    for statement, follower in pairwise(body):
        match statement, follower:
            case ast.AnnAssign(target=ast.Name(id=field)), ast.Expr(value=ast.Constant(value=str(text))):
                found[field] = _spelled_out(_one_line(text), sys.modules[struct.__module__])
            case _:
                pass
    return found


def _spelled_out(text: str, module: ModuleType) -> str:
    def values(constant: re.Match[str]) -> str:
        listed = getattr(module, constant[0], None)
        return ", ".join(f"`{value}`" for value in listed) if isinstance(listed, tuple) else constant[0]

    return re.sub(r"\b[A-Z][A-Z_]+\b", values, text)


def _one_line(text: str) -> str:
    return " ".join(text.split())
