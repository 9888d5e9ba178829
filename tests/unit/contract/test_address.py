"""Addresses: what counts as one, and that no other product module takes one apart by hand."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgents_shared.contract.address import is_ip, is_loopback, is_unspecified, normalised, of_url, split, split_port

ROOT = Path(__file__).parents[3]
HOME = "shared/src/kgents_shared/contract/address.py"

ALLOWED = {
    "services/cli/src/kgents_cli/git_folder.py": "a path in a repository behind its url",
    "services/collector-docker/src/kgents_collector_docker/mapping/image.py": "an image's tag and digest",
    "services/collector-k8s/src/kgents_collector_k8s/mapping/container.py": "an image's tag",
    "services/collector-k8s/src/kgents_collector_k8s/mapping/gateway.py": "a listener's name beside its port",
}
"""Modules that split or join at a colon, and what it is instead of an address."""

COLON = re.compile(r"^(\]:|:)$")
PORT = re.compile(r"port\b")


@pytest.mark.parametrize(
    "text",
    ["container-id:4f2a", "postgresql-primary:7301234567890123456", "/run/pg/.s.PGSQL.5432", "a:0", "a:65536", "[pg]:1",
     "[fd00::7", ":80", "registry/app:80", ""],
)  # fmt: skip
def test_what_is_no_address_is_left_as_it_is(text: str) -> None:
    assert split(text) == (text, None)
    assert normalised(text) == text


def test_an_address_without_brackets_is_all_host() -> None:
    assert split("fd00::7:9999") == ("fd00::7:9999", None)


def test_a_source_that_writes_no_brackets_ends_in_a_port() -> None:
    assert split_port("fd00::7:6379") == ("fd00::7", 6379)
    assert split_port("redis.shop:0") == ("redis.shop:0", None)


def test_a_url_that_names_no_host_has_none() -> None:
    assert of_url("unix:///var/run/docker.sock") == ("", None)
    assert of_url("https://[FD00::7]", 443) == ("fd00::7", 443)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1"]
)
def test_loopback_is_known_in_every_spelling(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["127.example.com", "10.0.3.7", "::", "localhost.example.com"])
def test_a_name_that_begins_like_loopback_is_none(host: str) -> None:
    assert not is_loopback(host)


def test_every_address_at_once_is_no_address() -> None:
    assert [is_unspecified(each) for each in ("", "0.0.0.0", "::", "0:0::0", "::1")] == [True] * 4 + [False]  # noqa: S104


def test_a_name_is_no_ip() -> None:
    assert [is_ip(each) for each in ("10.0.3.7", "fd00::7", "fe80::1%eth0", "pg", "10.0.3")] == [True] * 3 + [False] * 2


def by_hand(tree: ast.AST) -> Iterator[int]:
    """Lines that split a text at its last colon, or put a host and a port together, or ask what an IP address is."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="rpartition" | "rsplit"), args=[ast.Constant(value=":"), *_]):
                yield node.lineno
            case ast.Import(names=[ast.alias(name="ipaddress")]) | ast.ImportFrom(module="ipaddress"):
                yield node.lineno
            case ast.Attribute(attr="hostname" | "netloc", value=ast.Name(id="parts" | "url") | ast.Call()):
                yield node.lineno
            case ast.JoinedStr(values=[*values]):
                for before, colon, after in zip(values, values[1:], values[2:], strict=False):
                    if (
                        isinstance(before, ast.FormattedValue)
                        and isinstance(colon, ast.Constant)
                        and COLON.match(str(colon.value))
                        and isinstance(after, ast.FormattedValue)
                        and PORT.search(ast.unparse(after.value))
                    ):
                        yield node.lineno
            case _:
                pass


def test_no_other_module_takes_an_address_apart() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for source in ("shared/src", "services")
        for path in (ROOT / source).rglob("*.py")
        if str(path.relative_to(ROOT)) not in {HOME, *ALLOWED}
        for line in by_hand(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert not found, "use kgents_shared.contract.address"


@pytest.mark.parametrize("module", ALLOWED)
def test_an_exception_is_still_needed(module: str) -> None:
    assert list(by_hand(ast.parse((ROOT / module).read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    "line",
    ['host, _, port = text.rpartition(":")', 'text.rsplit(":", 1)', 'f"{host}:{port}"', 'f"[{host}]:{port}"',
     'f"http://{a}:{server.port}/x"', "import ipaddress", "urlsplit(uri).netloc"],
)  # fmt: skip
def test_what_is_done_by_hand_is_seen(line: str) -> None:
    assert list(by_hand(ast.parse(line)))
