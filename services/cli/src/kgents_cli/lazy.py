"""An optional import that is put off until it is used: a command which only reads starts without it."""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

OPTIONAL: Final = ("aiohttp", "multidict")
"""What nats-py imports for its WebSocket transport alone: more CPU than everything else that a reader imports."""


def put_off(names: tuple[str, ...] = OPTIONAL) -> None:
    """Make `import NAME` cost nothing until an attribute of the module is read."""
    for name in names:
        if name not in sys.modules and find_spec(name) is not None:
            sys.modules[name] = _PutOff(name)


class _PutOff(ModuleType):
    """Stands in for a module. importlib's LazyLoader does not help: before Python 3.12 the import itself loads it."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)
