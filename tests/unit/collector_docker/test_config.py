import ast
from pathlib import Path

import msgspec
import pytest

import kgents_collector_docker
from kgents_collector_docker.config import Config


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"engines": []}, "expected at least one engine"),
        ({"engines": [{}, {"url": "tcp://b:2375"}]}, "at most one may have none"),
        ({"engines": [{"name": "a"}, {"name": "a"}]}, r"engines\[1\].name: expected a name of its own"),
        ({"engines": [{"name": "a/b"}]}, "expected letters, digits"),
        ({"engines": [{"url": "tcp://b:1", "context": "c"}]}, "found both"),
        ({"engines": [{"url": "ssh://b"}]}, "forward its socket with ssh -L"),
        ({"engines": [{"url": "tcp://me:pw@b:2375"}]}, "without user or password"),
        ({"engines": [{"url": "unix:///x", "tls": {}}]}, "tls: expected a url of tcp:// beside it"),
        ({"engines": [{"url": "tcp://b:1", "tls": {"cert_file": "x"}}]}, "found only cert_file; set key_file too"),
        ({"engines": [{"url": "tcp://b"}]}, 'expected a host and a port, found "tcp://b"; try: tcp://host:2376'),
        ({"engines": [{"url": "tcp://b:99999"}]}, "expected a url of tcp:// or .* with a host"),
        ({"engines": [{"url": "unix://docker.sock"}]}, "expected an absolute path after unix://"),
        ({"labels": ["a*b"]}, "expected a whole name, or a beginning"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(given: object, words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words) as refused:
        msgspec.convert(given, Config)
    assert "pw@" not in str(refused.value)


def test_the_default_is_the_engine_of_this_machine() -> None:
    assert [engine.where for engine in Config().engines] == ["the engine of this machine"]


def test_the_code_has_no_call_that_could_change_an_engine() -> None:
    """Requests are made in one place, by `session.get`; nothing else of aiodocker or aiohttp sends anything."""
    sending = {"post", "put", "delete", "patch", "request", "ws_connect", "_query", "_query_json", "_do_query"}
    made = []
    for module in Path(kgents_collector_docker.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                assert node.attr not in sending, f"{module.name} calls {node.attr}"
                if node.attr == "get" and isinstance(node.value, ast.Attribute) and node.value.attr == "session":
                    made.append(module.name)
    assert made == ["client.py"]
