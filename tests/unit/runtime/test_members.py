"""Settings that hold members by names of the user's choice, and INI files: each field by itself, from any source."""

from pathlib import Path

import pytest

from kgents_shared.bus.config import Secret
from kgents_shared.contract.errors import ConfigError
from kgents_shared.contract.section import Section
from kgents_shared.runtime.config import load, sections_given
from kgents_shared.runtime.ini import UnusableFileError, read_ini

pytestmark = pytest.mark.unit


class Target(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: str = "localhost"
    port: int = 1
    password: Secret | None = None


class Own(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    db: dict[str, Target] = {}
    note: str = ""


def read(tmp_path: Path, text: str, *, suffix: str = ".yaml", **variables: str) -> Own:
    path = tmp_path / f"kgents{suffix}"
    path.write_text(text)
    return load("svc", Own, path=path, environ={"HOME": "/root", **variables})[1]


def test_every_field_of_every_member_has_its_own_precedence(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "svc: {db: {orders-db: {host: file, port: 5}, users: {}}}",
        KGENTS__SVC__DB__ORDERS_DB__HOST="environment",
        KGENTS__SVC__DB__NEW_ONE__PORT="7",
    )
    assert found.db == {
        "orders-db": Target(host="environment", port=5),
        "users": Target(),
        "new-one": Target(port=7),
    }


def test_a_secret_of_a_member_comes_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    found = read(tmp_path, f"svc: {{db: {{a: {{password_file: {secret}}}}}}}")
    password = found.db["a"].password
    assert password is not None
    assert password.reveal() == "s3cret"


def test_an_ini_file_says_the_same_and_interpolates_nothing(tmp_path: Path) -> None:
    awkward = """50%(x)s %%'";#=[]:ü"""
    text = f"[kgents]\ncluster = c\n[svc]\nnote = n\n[svc.db.orders]\nhost = h\nport = 5\npassword = {awkward}\n"
    found = read(tmp_path, text, suffix=".ini", KGENTS__SVC__DB__ORDERS__PORT="6")
    assert found == Own(note="n", db={"orders": Target(host="h", port=6, password=Secret(awkward))})


@pytest.mark.parametrize(
    ("text", "suffix", "variables", "words"),
    [
        (
            "svc: {db: {a: {hots: x}}}",
            ".yaml",
            {},
            "svc.db.a.hots: expected a known key, found an unknown key; did you mean svc.db.a.host?",
        ),
        ("svc: {db: {a: {port: x}}}", ".yaml", {}, "svc.db.a.port: expected int"),
        ("svc: {db: {a: 5}}", ".yaml", {}, "svc.db.a: expected a mapping, found int"),
        ("svc: {db: 5}", ".yaml", {}, "svc.db: expected a mapping, found int"),
        ("{}", ".yaml", {"KGENTS__SVC__DB__A__HOTS": "x"}, "found an unknown variable; did you mean"),
        ("{}", ".yaml", {"KGENTS__SVC__DB": "{}"}, "expected null or one variable for each setting"),
        ("[svc.db.a]\nhots = x\n", ".ini", {}, "did you mean svc.db.a.host?"),
        ("[svc.db.a]\nport = x\n", ".ini", {}, "svc.db.a.port: expected int"),
        ("s3cret", ".ini", {}, "expected INI, found at line 1: MissingSectionHeader"),
        ("[svc]\n[svc]\n", ".ini", {}, "DuplicateSection"),
        ("[svc]\nnote = a\nnote = s3cret\n", ".ini", {}, "DuplicateOption"),
        ("[svc]\ns3cret\n", ".ini", {}, "expected INI, found"),
    ],
)
def test_a_fault_is_reported_with_its_place_and_never_quotes_the_file(
    tmp_path: Path, text: str, suffix: str, variables: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, suffix=suffix, **variables)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_an_ini_value_where_a_section_belongs_is_reported_without_quoting_it(tmp_path: Path) -> None:
    path = tmp_path / "kgents.ini"
    path.write_text("[kgents]\nnats = hunter2\n[nats]\nurl = nats://x:4222\n")
    with pytest.raises(UnusableFileError, match=r"expected \[nats\] to be a section") as raised:
        read_ini(path)
    assert "hunter2" not in str(raised.value)


def test_an_ini_file_of_windows_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "kgents.ini"
    path.write_bytes(b"\xef\xbb\xbf[svc]\r\nnote = n\r\n")
    assert read_ini(path) == {"svc": {"note": "n"}}


def test_an_ini_file_that_is_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a readable file"):
        load("svc", Own, path=tmp_path / "none.ini", environ={"HOME": "/root"})


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.yaml", "svc: {note: x}\nnats: {}\nother:"), ("a.ini", "[svc.db.orders]\nhost = x\n"), ("a.yaml", "[broken")],
)
def test_services_that_are_spoken_to_are_known_by_file_and_variables(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    services = ["svc", "other", "from-env", "silent"]
    found = sections_given(tmp_path / name, {"kgents__from_env__x": "1", "KGENTS__SILENT": ""}, services)
    assert found == ({"from-env"} if "broken" in text else {"svc", "from-env"})
