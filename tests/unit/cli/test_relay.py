import json

import pytest

from kgents_cli.relay import relay

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
