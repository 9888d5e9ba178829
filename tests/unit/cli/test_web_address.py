"""Where `kgents up` says that the gateway is, by its settings."""

from pathlib import Path

import pytest

from kgents_cli.options import Target
from kgents_cli.web_address import configured
from support.certificates import Certificates


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("port: 7781", "http://127.0.0.1:7781/"),
        ("host: localhost", "http://localhost:7780/"),
        ("host: '::1'", "http://[::1]:7780/"),
        ("port: 0", ""),
        ("host: 0.0.0.0\n  auth: {tokens_file: TOKENS}", "http://127.0.0.1:7780/"),
        ("tls: {cert_file: CERT, key_file: KEY}", "https://127.0.0.1:7780/"),
        ("public_url: https://see.example/kgents", "https://see.example/kgents"),
        ("port: many", ""),
        ("host: 0.0.0.0", ""),
    ],
)
def test_the_address_is_that_of_the_settings(tmp_path: Path, settings: str, expected: str) -> None:
    made = Certificates(tmp_path)
    (tmp_path / "tokens").write_text(f"a sha256:{'0' * 64}\n")
    places = {"CERT": str(made.server), "KEY": str(made.server_key), "TOKENS": str(tmp_path / "tokens")}
    for name, place in places.items():
        settings = settings.replace(name, place)
    file = tmp_path / "kgents.yaml"
    file.write_text(f"gateway:\n  {settings}\n")
    assert configured(Target({}, file, None)) == expected
