"""How often the terminal dashboard draws."""

import pytest

from kgents_cli.ui.terminal import TICK_OVER_SSH_S, TICK_S, tick_s


def test_over_ssh_fewer_pictures_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_TTY", raising=False)
    assert tick_s() == TICK_S
    monkeypatch.setenv("SSH_TTY", "/dev/pts/1")
    assert tick_s() == TICK_OVER_SSH_S > TICK_S
