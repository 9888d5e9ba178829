"""A postponed package behaves as one that is imported at once, except for when its `__init__` runs."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from kgents_shared.kubernetes.postponed import postpone

PACKAGE = "postponed_example"
FILES = {
    "__init__.py": "import postponed_example.heavy.light; version = 1",
    "heavy/__init__.py": """
        __all__ = ["Entry", "Model", "count"]
        from postponed_example import heavy
        from postponed_example.heavy.entry import Entry
        from postponed_example.heavy.model import Model
        count = globals().get("count", 0) + 1
    """,
    "heavy/model.py": "Model = object()",
    "heavy/entry.py": "from postponed_example.heavy import light\nEntry = light.Light",
    "heavy/light.py": "Light = object()",
}
HEAVY = f"{PACKAGE}.heavy"


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, content in FILES.items():
        file = tmp_path / PACKAGE / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(map(str.strip, content.splitlines())))
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def runs() -> int:
    """How often the `__init__` of the heavy package ran."""
    return int(vars(sys.modules[HEAVY]).get("count", 0))


def is_model_imported() -> bool:
    return f"{HEAVY}.model" in sys.modules


def use(code: str) -> dict[str, object]:
    """What a program that is written without knowledge of this imports."""
    found: dict[str, object] = {}
    exec(code, found)  # noqa: S102 - the import statement itself is tested, each of its forms
    return found


@pytest.mark.parametrize(
    "code",
    [
        f"import {HEAVY}",
        f"import {HEAVY}.light as light",
        f"from {HEAVY} import light",
        f"from {HEAVY}.light import Light",
        f"from {HEAVY} import Entry",
        f"from {PACKAGE} import heavy",
        f"import {PACKAGE}; {HEAVY}.light; {HEAVY}.Entry",
    ],
)
def test_what_is_known_by_its_submodule_does_without(code: str) -> None:
    postpone(PACKAGE)
    postpone(HEAVY, Entry="entry")
    use(code)
    assert runs() == 0
    assert not is_model_imported()


@pytest.mark.parametrize(
    "code",
    [
        f"from {HEAVY} import Model",
        f"from {HEAVY} import *; Model",
        f"import {HEAVY}; {HEAVY}.Model; {HEAVY}.count",
        f"from {HEAVY} import Entry, light; from {HEAVY} import Model",
        f"from {PACKAGE} import heavy; heavy.Model",
        f"import {PACKAGE} as package; package.version; package.heavy.Model",
        f"import {HEAVY} as heavy\ntry: heavy.nothing\nexcept AttributeError: heavy.Model",
    ],
)
def test_any_other_name_runs_it_once(code: str) -> None:
    postpone(PACKAGE)
    postpone(HEAVY, Entry="entry")
    use(code)
    assert runs() == 1
    heavy = import_module(HEAVY)
    assert heavy.Model is import_module(f"{HEAVY}.model").Model
    assert heavy.Entry is import_module(f"{HEAVY}.entry").Entry
    assert runs() == 1


@pytest.mark.parametrize("home", ["gone", "light"])
def test_a_name_that_is_not_where_it_was_is_found_all_the_same(home: str) -> None:
    postpone(PACKAGE)
    postpone(HEAVY, Model=home)
    assert use(f"from {HEAVY} import Model")["Model"] is import_module(f"{HEAVY}.model").Model
    assert runs() == 1


def test_a_name_that_does_not_exist_is_refused_as_ever() -> None:
    postpone(PACKAGE)
    postpone(HEAVY)
    with pytest.raises(ImportError, match=f"cannot import name 'nothing' from '{HEAVY}'"):
        use(f"from {HEAVY} import nothing")
    with pytest.raises(AttributeError, match="nothing"):
        use(f"import {HEAVY}; {HEAVY}.nothing")
    with pytest.raises(ModuleNotFoundError):
        use(f"import {HEAVY}.nothing")


def test_what_is_imported_already_stays_as_it_is() -> None:
    before = import_module(HEAVY)
    postpone(PACKAGE)
    postpone(HEAVY)
    assert import_module(HEAVY) is before
    assert runs() == 1


def test_what_does_not_exist_or_is_no_package_stays_unknown() -> None:
    postpone(PACKAGE)
    postpone(f"{PACKAGE}.other")
    postpone("another_example")
    with pytest.raises(ModuleNotFoundError):
        import_module(f"{PACKAGE}.other")
    postpone(f"{HEAVY}.light")
    assert import_module(f"{HEAVY}.light").Light
