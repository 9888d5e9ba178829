"""Where NATS is and how to log in there: what is refused, and what a secret is."""

from pathlib import Path

import pytest

from kgents_shared.bus.config import SECRET_BYTES_MAX, NatsConfig, Secret, TlsConfig


class TestSecret:
    def test_a_rotated_file_is_read_again(self, tmp_path: Path) -> None:
        path = tmp_path / "secret"
        secret = Secret(path)
        path.write_text("old")
        old = secret.reveal()
        path.write_text("new")
        assert (old, secret.reveal()) == ("old", "new")

    @pytest.mark.parametrize(("content", "value"), [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")])
    def test_one_trailing_newline_is_no_part_of_the_value(self, tmp_path: Path, content: str, value: str) -> None:
        (tmp_path / "secret").write_bytes(content.encode())
        assert Secret(tmp_path / "secret").reveal() == value

    def test_a_file_of_the_largest_size_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("x" * SECRET_BYTES_MAX)
        assert len(Secret(tmp_path / "secret").reveal()) == SECRET_BYTES_MAX

    def test_a_larger_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("x" * (SECRET_BYTES_MAX + 1))
        with pytest.raises(OSError, match="expected at most 65536 bytes"):
            Secret(tmp_path / "secret").reveal()

    def test_a_file_that_is_no_text_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes(b"\xff\xfe")
        with pytest.raises(OSError, match="expected UTF-8 text"):
            Secret(tmp_path / "secret").reveal()

    def test_a_secret_cannot_be_changed(self) -> None:
        with pytest.raises(AttributeError, match="make a new one"):
            Secret("a")._source = "b"

    def test_secrets_are_equal_by_where_they_come_from(self) -> None:
        assert Secret("a") == Secret("a")
        assert Secret("a") != Secret(Path("a"))


class TestNatsConfig:
    def test_urls_are_separated_by_commas(self) -> None:
        assert NatsConfig(url="nats://a:1, tls://b:2").urls == ("nats://a:1", "tls://b:2")

    @pytest.mark.parametrize(
        "url", ["nats://someone:hunter2@h:1", "nats://hunter2@h:1", "nats://x:1,hunter2@h", "hunter2,x@h"]
    )
    def test_a_secret_in_a_url_is_refused_without_being_shown(self, url: str) -> None:
        with pytest.raises(ValueError, match="use user and password, or token") as caught:
            NatsConfig(url=url)
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("url", ["", " , ", "localhost:4222", "http://localhost:4222"])
    def test_a_url_that_is_no_nats_url_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match="url: expected"):
            NatsConfig(url=url)

    @pytest.mark.parametrize(
        ("url", "tls", "is_needed"),
        [
            ("nats://a", None, False),
            ("ws://a", None, False),
            ("nats://a", TlsConfig(), True),
            ("tls://a", None, True),
            ("wss://a", None, True),
            ("nats://a,tls://b", None, True),
        ],
    )
    def test_tls_is_needed_by_every_server_where_it_is_named_once(
        self, url: str, tls: TlsConfig | None, is_needed: bool
    ) -> None:
        assert NatsConfig(url=url, tls=tls).needs_tls is is_needed

    @pytest.mark.parametrize(
        ("url", "tls"), [("ws://a", TlsConfig()), ("tls://b,ws://a", None), ("ws://a,wss://b", None)]
    )
    def test_a_websocket_without_tls_is_refused_where_tls_is_needed(self, url: str, tls: TlsConfig | None) -> None:
        with pytest.raises(ValueError, match='expected TLS for every server, found "ws://a", which has none; try: wss'):
            NatsConfig(url=url, tls=tls)

    def test_two_ways_to_authenticate_are_refused(self) -> None:
        with pytest.raises(ValueError, match="found credentials_file and token; keep one"):
            NatsConfig(credentials_file="a.creds", token=Secret("t"))

    def test_a_user_needs_a_password(self) -> None:
        with pytest.raises(ValueError, match="found only user; set password too"):
            NatsConfig(user="a")

    def test_a_password_needs_a_user(self) -> None:
        with pytest.raises(ValueError, match="found only password; set user too"):
            NatsConfig(password=Secret("a"))

    @pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
    def test_a_timeout_must_be_positive(self, seconds: float) -> None:
        with pytest.raises(ValueError, match="request_timeout_s: expected more than 0 seconds"):
            NatsConfig(request_timeout_s=seconds)
