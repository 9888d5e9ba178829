"""The pictures of the documentation are there, small, and the recorded session is one that players take."""

import json
import re
from pathlib import Path

from kgents_cli.demonstration import NOTICE
from pictures.cast import Cast, last_picture

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
IN_ALL_BYTES = 1_500_000
README = (ROOT / "README.md").read_text()


def test_every_picture_is_shown_and_all_of_them_are_small() -> None:
    pictures = {f"docs/images/{each.name}" for each in (DOCS / "images").iterdir()}
    assert pictures == set(re.findall(r"docs/images/[a-z0-9-]+\.jpg", README))
    assert all((ROOT / each).read_bytes().startswith(b"\xff\xd8") for each in pictures)
    assert sum((ROOT / each).stat().st_size for each in (*pictures, "docs/demo.cast")) < IN_ALL_BYTES


def test_the_recorded_session_is_an_asciicast_of_the_demo_that_names_the_cause() -> None:
    header, *records = map(json.loads, (DOCS / "demo.cast").read_text().splitlines())
    assert header["version"] == 2
    times = [at for at, _, _ in records]
    assert times == sorted(times)
    assert {code for _, code, _ in records} == {"o"}
    shown = "".join(text for _, _, text in records)
    assert NOTICE in shown
    assert "database shop/orders-db uses 100 % of its connections" in shown
    assert "docs/demo.cast" in README


def test_a_recording_keeps_of_each_picture_the_lines_that_differ() -> None:
    def drawn(*lines: str) -> str:
        return "\x1b[H" + "\r\n".join(f"{each}\x1b[K" for each in lines) + "\x1b[J"

    written = drawn("a", "b", "c") + drawn("a", "x")
    assert last_picture(written + "\x1b[Ha half\r\n") == ["a\x1b[K", "x\x1b[K"]
    cast = Cast(80, 24, "test")
    cast.show(1.0, last_picture(drawn("a", "b", "c")))
    cast.show(2.0, last_picture(drawn("a", "x", "c")))
    cast.show(3.0, last_picture(drawn("a", "x", "c")))
    cast.show(4.0, last_picture(drawn("a", "x")))
    _, first, second, last = map(json.loads, cast.text().splitlines())
    assert first[2].endswith("\x1b[1;1Ha\x1b[K\x1b[2;1Hb\x1b[K\x1b[3;1Hc\x1b[K")
    assert second == [2.0, "o", "\x1b[2;1Hx\x1b[K"]
    assert last == [4.0, "o", "\x1b[3;1H\x1b[J"]
