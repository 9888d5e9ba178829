"""The bounded part of `make faults`: one schedule for each way in which things go wrong, on sites as it makes them."""

import subprocess
import sys
from pathlib import Path

import pytest

from faults.schedules import schedule
from faults.schedules.hurried import missing
from faults.schedules.mutants import MUTANTS, ROOT
from faults.schedules.site import make_site

pytestmark = pytest.mark.timeout(600)

ON_ONE = (
    ("kill", "purge", "link"),
    ("nats away", "away and gone", "poison"),
    ("roll back", "overwrite", "clock"),
)
ON_THREE = (("isolate", "step down", "kill"),)


def test_every_wait_that_schedules_shorten_is_one_of_the_product() -> None:
    assert missing() == []


def test_the_checker_uses_nothing_of_the_product() -> None:
    loads = "import sys, faults.schedules.checker; print([each for each in sys.modules if each.startswith('kgents')])"
    found = subprocess.run(
        [sys.executable, "-c", loads],
        env={"PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"


def test_a_mutant_breaks_each_guarantee_and_changes_a_line_of_the_product() -> None:
    assert {each.guarantee for each in MUTANTS} == {f"G{number}" for number in range(1, 11)}
    assert [each.what for each in MUTANTS if (ROOT / each.file).read_text().count(each.old) != 1] == []


async def test_every_guarantee_holds_on_one_server(tmp_path: Path) -> None:
    await all_hold(tmp_path, 1, ON_ONE)


async def test_every_guarantee_holds_on_a_cluster_of_three(tmp_path: Path) -> None:
    await all_hold(tmp_path, 3, ON_THREE)


async def all_hold(directory: Path, nodes: int, schedules: tuple[tuple[str, ...], ...]) -> None:
    async with make_site(directory, nodes=nodes) as site:
        for seed, names in enumerate(schedules):
            result = await schedule.run(site, seed, names=list(names))
            assert result.faults == [], "\n".join(result.log)
