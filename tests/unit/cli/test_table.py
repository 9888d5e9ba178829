import sys

import pytest

from kgents_cli.table import Cell, table


def test_columns_are_as_wide_as_their_widest_cell_and_no_line_ends_in_spaces() -> None:
    rows = [("cart", "running"), ("a-long-name", "")]
    assert list(table(("NAME", "STATUS"), rows)) == ["NAME         STATUS", "cart         running", "a-long-name"]


def test_a_name_cannot_steer_the_terminal_or_break_its_line() -> None:
    assert list(table(("NAME",), [("a\x1b[2J\nb\u202ec",)])) == ["NAME", "a�[2J�b�c"]


def test_colours_do_not_move_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    heading, line = table(("HEALTH", "WHY"), [(Cell("critical 0.40", "critical"), "x")])
    assert line == "\x1b[31mcritical 0.40\x1b[0m  x"
    assert heading.index("WHY") == len("critical 0.40  ")


def test_no_color_is_heeded_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert list(table(("HEALTH",), [(Cell("bad", "critical"),)])) == ["HEALTH", "bad"]


def test_on_a_terminal_the_last_column_is_cut_to_its_width_and_off_one_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    rows = [("cart", "x" * 100)]
    assert len(list(table(("NAME", "WHY"), rows))[1]) == 106
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert list(table(("NAME", "WHY"), rows))[1] == "cart  " + "x" * 23 + "…"
    assert len(list(table(("NAME", "WHY"), rows, cut=False))[1]) == 106
