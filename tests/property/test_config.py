"""Laws of the settings that no single example can show."""

import json
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kgents_shared.bus.config import Secret
from kgents_shared.contract.errors import ConfigError
from kgents_shared.contract.section import Section
from kgents_shared.runtime.config import effective, load

pytestmark = pytest.mark.property


class Own(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    api_key: Secret | None = None
    limit: int = 1
    servers: list[str] = []


# Letters that no fault text is made of, so that a hit is never a coincidence.
secrets = st.text("QXZ789", min_size=8, max_size=20)
wrappings = st.sampled_from(
    ["{}", "'{}", '"{}', "*{}", "!{}", "&{}", "%{}", "@{}", "[{}", "{{{}", "{}: {}", "- {}", "|{}"]
)
secret_keys = st.sampled_from(["token", "password", "nkey_seed"])
# What else stands in the file, sound or not, so that faults of every kind come up around the secret.
surroundings = st.sampled_from(
    ["", "cluster: 5\n", "log: {level: loud}\n", "nats: {}\n", "x: [\n", "demo: {limit: a}\n"]
)


@given(secrets, wrappings, secret_keys, surroundings, st.booleans())
def test_no_fault_or_view_of_a_file_shows_a_secret(
    secret: str, wrapping: str, key: str, around: str, before: bool
) -> None:
    own = f"nats:\n  {key}: {wrapping.format(secret, secret)}\n"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.yaml"
        path.write_text(around + own if before else own + around)
        try:
            common, section = load("demo", Own, path=path, environ={"HOME": "/"})
            shown = repr(common) + str(common) + json.dumps(effective(common, {"demo": section}))
        except ConfigError as error:
            shown = str(error) + repr(error)
    assert secret not in shown


@given(
    secrets,
    st.sampled_from(
        [
            "KGENTS__NATS__TOKEN",
            "KGENTS__NATS__PASSWORD",
            "KGENTS__NATS__PASWORD",
            "KGENTS__NATS",
            "KGENTS__DEMO__API_KEY",
        ]
    ),
    st.sampled_from(["KGENTS__NATS__USER", "KGENTS__DEMO__LIMIT", "KGENTS__NATS__URL"]),
)
def test_no_fault_or_view_of_the_environment_shows_a_secret(secret: str, variable: str, other: str) -> None:
    try:
        common, section = load("demo", Own, path=None, environ={"HOME": "/", variable: secret, other: "u"})
        shown = repr((common, section)) + json.dumps(effective(common, {"demo": section}))
    except ConfigError as error:
        shown = str(error) + repr(error)
    assert secret not in shown


@given(secrets)
def test_no_way_to_print_a_secret_shows_it(secret: str) -> None:
    held = Secret(secret)
    assert secret not in f"{held} {held!r} {held!s} {[held]}"


names = st.text("abcxyz-_./:é ", max_size=12)
sections = st.fixed_dictionaries({}, optional={"limit": st.integers(-(2**40), 2**40), "servers": st.lists(names)})


@given(sections)
def test_the_file_and_the_environment_say_the_same(values: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.yaml"
        path.write_text(yaml.safe_dump({"demo": values}))
        by_file = load("demo", Own, path=path, environ={"HOME": "/"})
    variables = {f"KGENTS__DEMO__{name.upper()}": json.dumps(value) for name, value in values.items()}
    assert load("demo", Own, path=None, environ={"HOME": "/", **variables}) == by_file
