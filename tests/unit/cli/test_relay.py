import json
from pathlib import Path

import pytest

from kgents_cli.relay import relay, relay_to

RECORD = {
    "timestamp": "2026-11-21T09:00:00.5Z",
    "level": "warning",
    "service": "health-scorer",
    "scope": "kgents_shared.bus.client",
    "event": "cannot connect",
    "url": "nats://a:1",
}
LINE = json.dumps(RECORD).encode()


def test_off_a_terminal_a_record_stays_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    relay(["health-scorer"])("health-scorer", LINE)
    assert capsys.readouterr().err == LINE.decode() + "\n"


def test_what_is_no_record_is_put_under_its_writers_name(capsys: pytest.CaptureFixture[str]) -> None:
    show = relay(["health-scorer", "up"])
    show("up", b"Traceback \xff\x1b[2J")
    assert capsys.readouterr().err == "up            | Traceback ��[2J\n"


def test_for_people_a_record_is_a_short_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    relay(["health-scorer"])("health-scorer", LINE)
    assert capsys.readouterr().err == "health-scorer | 09:00:00 warning cannot connect url=nats://a:1\n"


def test_where_the_screen_is_drawn_on_a_warning_says_what_it_is_about(tmp_path: Path) -> None:
    shown: list[tuple[str, str]] = []
    log = tmp_path / "services.log"
    keep = relay_to(log, lambda line, level: shown.append((line, level)))
    keep("health-scorer", LINE)
    keep("health-scorer", LINE.replace(b"warning", b"info"))
    assert shown == [(f"health-scorer: cannot connect url=nats://a:1 (log: {log})", "warning")]
    assert len(log.read_bytes().splitlines()) == 2
