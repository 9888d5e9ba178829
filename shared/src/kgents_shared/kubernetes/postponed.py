"""Packages that import more than is used of them: their `__init__` runs when it is first needed, if ever.

Nothing of them is replaced. Their submodules are imported as ever, and the first name that only the `__init__` defines
runs it, in the module that all importers have.
"""

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any


def postpone(package: str, **homes: str) -> None:
    """Make a package that is not imported yet one whose `__init__` waits.

    Without effect if it is imported already, or does not exist: it is then imported as ever.

    Args:
        package: its full name; its parent has to be imported, or postponed.
        homes: names that the `__init__` imports from submodules, and the submodule of each.
    """
    spec = find_spec(package) if package not in sys.modules else None
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        return
    module, run = module_from_spec(spec), spec.loader.exec_module

    def missing(name: str) -> Any:
        home = f"{package}.{homes.get(name, name)}"
        if find_spec(home) is not None:
            submodule = import_module(home)
            found = getattr(submodule, name, None) if name in homes else submodule
            if found is not None:
                return found
        del module.__dict__["__getattr__"]
        run(module)
        return getattr(module, name)

    module.__dict__["__getattr__"] = missing
    sys.modules[package] = module
    parent, _, name = package.rpartition(".")
    if parent:
        setattr(sys.modules[parent], name, module)
