"""`kgents up --demo`: a recorded shop instead of this machine, which says so on every screen."""

import json
import re
from pathlib import Path

import pytest

from kgents_cli.demonstration import NOTICE
from support.kgents_command import run_kgents
from support.terminal import Terminal, fits
from support.waiting import eventually

pytestmark = pytest.mark.timeout(150)
MAKE = ["make", "-C", str(Path(__file__).parents[3]), "--no-print-directory", "up", "DEMO=1"]
"""As README says."""


async def test_a_newcomer_sees_the_shop_and_is_told_that_it_is_a_demo(tmp_path: Path) -> None:
    with Terminal(MAKE, environ={"TMPDIR": str(tmp_path)}) as terminal:
        await eventually(lambda: re.search(r"nats://127\.0\.0\.1:\d+", terminal.written))
        found = re.search(r"nats://127\.0\.0\.1:\d+", terminal.written)
        assert found is not None

        def entities() -> int:
            counts = [re.match(r"(\d+) entities", line) for line in terminal.picture[:4]]
            return max((int(each[1]) for each in counts if each), default=0)

        await eventually(lambda: entities() >= 150, within_s=40)
        await eventually(lambda: NOTICE in terminal.picture[:3])
        listed = await run_kgents("get", "all", "-o", "json", "--nats", found.group())
        clusters = {each["ref"]["cluster"] for each in json.loads(listed.out)}
        assert clusters == {"demo-shop-eu", "demo-shop-us"}
        assert '"kgents.replayed_from":"demo.kgrec"' in listed.out
        health = await run_kgents("health", "-o", "json", "--nats", found.group())
        for each in (listed, health):
            assert re.search(r"of \d+ entities are replayed from demo.kgrec, not observed now", each.err)
        terminal.resize(40, 10)
        await eventually(lambda: fits(terminal.picture, 40, 10))
        await eventually(lambda: any(line.startswith("DEMO: a recording") for line in terminal.picture))
        terminal.press("\x03")
        terminal.ended()
    assert not list(tmp_path.glob("kgents-demo-*")), "nothing is left of it"


async def test_it_takes_no_other_nats_and_no_selection_of_services() -> None:
    for flags in (["--nats", "nats://127.0.0.1:1"], ["--only", "gateway"]):
        result = await run_kgents("up", "--demo", *flags)
        assert result.code == 2
        assert "--demo brings its own" in result.err
