"""The example configurations can be used as they are, but for the secrets that they name, and hold no misspelt key."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
import yaml

from kgents_cli.installed import load_service, service_names
from kgents_shared.contract.errors import ConfigError
from kgents_shared.contract.section import Section
from kgents_shared.runtime.config import CommonConfig, load_all
from kgents_shared.runtime.settings import Key, find, settings_of

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "deploy" / "config").glob("*.yaml"))
SECTIONS: dict[str, type[Section]] = {name: load_service(name).config for name in service_names()}
SECRETS = "/run/secrets/kgents"


def load(document: object, folder: Path) -> None:
    path = folder / "kgents.yaml"
    path.write_text(yaml.safe_dump(document))
    load_all(SECTIONS, path=path, environ={"HOME": "/"}, services=list(SECTIONS))


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every secret that an example names."""
    folder = tmp_path_factory.mktemp("secrets")
    authority = trustme.CA()
    client = authority.issue_cert("client")
    for example in EXAMPLES:
        for name in re.findall(rf"{SECRETS}/(\S+)", example.read_text(encoding="utf-8")):
            file = folder / name
            if name.endswith("ca.pem"):
                authority.cert_pem.write_to_path(str(file))
            elif name.endswith(".key"):
                client.private_key_pem.write_to_path(str(file))
            elif name.endswith(".pem"):
                client.cert_chain_pems[0].write_to_path(str(file))
            else:
                file.write_text("secret")
    return folder


def content(example: Path, secrets: Path) -> dict[str, object]:
    text = example.read_text(encoding="utf-8").replace(SECRETS, str(secrets))
    found: dict[str, object] = yaml.safe_load(text)
    return found


def misspelt(node: object, at: Key = ()) -> Iterator[tuple[Key, object]]:
    """The document once for each key, with that key misspelt, and where it is."""
    if isinstance(node, dict):
        for name in node:
            wrong = f"{name}x"
            yield (*at, wrong), {(wrong if other == name else other): value for other, value in node.items()}
            for key, changed in misspelt(node[name], (*at, name)):
                yield key, {**node, name: changed}
    elif isinstance(node, list):
        for place, item in enumerate(node):
            for key, changed in misspelt(item, (*at, f"[{place}]")):
                yield key, [*node[:place], changed, *node[place + 1 :]]


def test_there_is_one_example_for_each_use() -> None:
    assert [example.stem for example in EXAMPLES] == ["databases", "docker-host", "hub", "kubernetes", "laptop"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_loads_without_a_fault(example: Path, secrets: Path, tmp_path: Path) -> None:
    load(content(example, secrets), tmp_path)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_with_one_misspelt_key_does_not_load(example: Path, secrets: Path, tmp_path: Path) -> None:
    settings = dict(settings_of(CommonConfig))
    for name, section in SECTIONS.items():
        settings |= dict(settings_of(section, (name,)))
    changed = [(key, document) for key, document in misspelt(content(example, secrets)) if not find(settings, key)]
    assert len(changed) > 3
    for key, document in changed:
        with pytest.raises(ConfigError, match=re.escape(key[-1])):
            load(document, tmp_path)
