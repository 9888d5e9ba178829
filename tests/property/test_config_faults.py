"""However many settings are wrong at once, in whatever sections: each is reported, and nothing else is."""

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kgents_cli.installed import load_service, service_names
from kgents_shared.bus.config import LateSecret
from kgents_shared.contract.errors import ConfigError
from kgents_shared.contract.section import Section
from kgents_shared.runtime.config import CommonConfig, load_all
from kgents_shared.runtime.settings import (
    ANY,
    ITEM,
    Key,
    Setting,
    dotted,
    is_secret,
    is_section,
    item_in,
    settings_of,
)

pytestmark = pytest.mark.property

SECTIONS: dict[str, type[Section]] = {name: load_service(name).config for name in service_names()}
SOUND: dict[Key, object] = {
    **{("collector-docker", "engines", ITEM, name): value for name, value in {"name": "a", "url": "tcp://h:1"}.items()},
    **{
        ("collector-k8s", "custom", ITEM, name): value
        for name, value in {"group": "x.io", "version": "v1", "resource": "xs", "api_kind": "X"}.items()
    },
    ("collector-k8s", "manifests", ITEM, "path"): "/srv",
    ("collector-db", "postgres"): {"of-postgres": {}},
    ("collector-db", "qdrant"): {"of-qdrant": {}},
    **{
        ("collector-db", "coherency", ANY, name): value
        for name, value in {"postgres": "of-postgres", "qdrant": "of-qdrant", "table": "t", "collection": "c"}.items()
    },
    ("collector-k8s", "custom", ITEM, "connections", ITEM, "kind"): "depends",
    ("collector-k8s", "custom", ITEM, "connections", ITEM, "name"): "spec.x",
    ("gateway", "public_url"): "https://h",
    ("gateway", "auth", "tokens_file"): str(Path(__file__).parents[1] / "data/gateway/tokens"),
    **{
        ("gateway", "auth", "oidc", name): value
        for name, value in {"issuer": "https://h", "client_id": "a", "client_secret": "b"}.items()
    },
    ("health-scorer", "thresholds", ANY, "warn"): 0.5,
    **{
        ("alert-notifier", "receivers", ANY, *names): value
        for names, value in {
            ("slack", "webhook"): "http://h",
            ("pagerduty", "key"): "k",
            ("webhook", "url"): "http://h",
            ("alertmanager", "urls"): ["http://h:1"],
            ("smtp", "host"): "h",
            ("smtp", "sender"): "a@h",
            ("smtp", "to"): ["b@h"],
            ("apprise", "url"): "http://h",
            ("deadman", "url"): "http://h",
        }.items()
    },
    ("alert-notifier", "windows", ANY, "zone"): "UTC",
    ("alert-notifier", "routes", ITEM, "escalate", ITEM, "after_s"): 60,
    ("alert-notifier", "routes", ITEM, "escalate", ITEM, "to"): [],
}
"""What must stand beside a wrong setting so that it alone is wrong."""


def settings() -> Iterator[tuple[Key, Setting]]:
    """Every setting with a value of its own; of a secret and its file, the file alone."""
    everything = dict(settings_of(CommonConfig))
    for name, section in SECTIONS.items():
        everything |= dict(settings_of(section, (name,)))
    for key, setting in everything.items():
        is_leaf = not is_section(setting.type) and not item_in(setting.type) and key[-1] not in (ANY, ITEM)
        if is_leaf and (not is_secret(setting.type) or setting.from_file):
            yield key, setting


def wrong(setting: Setting) -> tuple[object, str]:
    """A value that is not of the setting's type, and where in it the fault is."""
    if setting.from_file:  # one that may come later is a path at least
        return (0 if LateSecret in (setting.type, *get_args(setting.type)) else "/no/such/file"), ""
    origins = {get_origin(each) or each for each in (setting.type, *get_args(setting.type))}
    if list in origins and get_origin(setting.type) is list:
        return [["x"]], "[0]"
    if get_origin(setting.type) is dict:
        return {"a": {}}, ".a"
    return {"un": "fit"}, ""


def named(key: Key) -> Key:
    """The key with a name or a place for each wildcard."""
    # Two may not have one name, and a receiver is of one kind.
    parts = (key[1], *key[3:4]) if key[1:2] == ("receivers",) else key[1:2]
    member = "KG-101" if key[0] == "health-scorer" else "-".join(("of", *parts))
    names = {ANY: member, ITEM: "[0]"}
    return tuple(names.get(part, part) for part in key)


def put(document: Any, key: Key, value: object) -> None:
    """Set a value in nested mappings and lists of one item."""
    for part, following in pairwise(key):
        child: Any = [{}] if following == "[0]" else {}
        if part == "[0]":
            document = document[0]
        elif part not in document:
            document[part] = child
            document = child
        else:
            document = document[part]
    if key[-1] not in document:
        document[key[-1]] = value


SETTINGS = dict(settings())


@given(st.sets(st.sampled_from(sorted(SETTINGS)), min_size=1, max_size=12))
def test_every_wrong_setting_is_reported_and_no_other(keys: set[Key]) -> None:
    document: dict[str, Any] = {}
    expected = []
    for key in keys:
        value, place = wrong(SETTINGS[key])
        put(document, named(key), value)
        expected.append(dotted(named(key)) + place)
    for key, value in SOUND.items():
        has_file = (*key[:-1], f"{key[-1]}_file") in keys
        if not has_file and any(other[: len(key) - 1] == key[:-1] for other in keys):
            put(document, named(key), value)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "kgents.yaml"
        path.write_text(yaml.safe_dump(document))
        with pytest.raises(ConfigError) as error:
            load_all(SECTIONS, path=path, environ={"HOME": "/"}, services=list(SECTIONS))
        lines = [fault.removeprefix(f"{path}: ") for fault in error.value.faults]
    assert sorted(line.partition(": ")[0] for line in lines) == sorted(expected)


def test_every_setting_can_be_made_wrong() -> None:
    assert len(SETTINGS) > 100
