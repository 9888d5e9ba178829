"""Dashboards and rules over real services: every query of every panel is answered, and what is dead is noticed."""

import json
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.observed_services import SERVICES, Observed, observed
from support.programs import need
from support.waiting import eventually

DASHBOARDS = Path(__file__).parents[3] / "deploy" / "observability" / "grafana" / "dashboards"

GIVEN = "qdrant_collections_count "
"""The one name that promtool finds fault with: it is the mission's."""


def queries() -> dict[str, str]:
    """Board and title of a panel → its query, for every cluster."""
    found: dict[str, str] = {}
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for each in panel.get("targets", ()):
                found[f"{path.stem}: {panel['title']}"] = each["expr"].replace("$cluster", ".*")
    return found


async def answered(running: Observed, asked: dict[str, str]) -> list[str]:
    return [name for name, text in asked.items() if await running.prometheus.query(text)]


async def metrics_of(port: int) -> str:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as answer:
        return await answer.text()


async def pending_or_firing(running: Observed) -> set[str]:
    found: list[dict[str, Any]] = await running.prometheus.query('ALERTS{alertname=~"Kgents.*"}')
    return {each["metric"]["alertname"] for each in found}


@pytest.mark.timeout(240)
async def test_every_panel_is_answered_and_a_dead_service_is_noticed(tmp_path: Path) -> None:
    """One test, since what it needs takes long to start."""
    async with observed(tmp_path) as running:
        assert len(queries()) > 90
        missing = queries()

        async def are_answered() -> bool:
            for name in await answered(running, missing):
                del missing[name]
            return not missing

        await eventually(are_answered, within_s=60.0)

        for service in SERVICES:
            done = subprocess.run(
                [str(need("promtool")), "check", "metrics"], input=await metrics_of(running.ports[service]),
                capture_output=True, text=True, timeout=30, check=False,
            )  # fmt: skip
            found = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(GIVEN)]
            assert found == [], service

        assert await running.prometheus.query('ALERTS{alertname="KG-001", alertstate="firing"}')
        assert await pending_or_firing(running) & {"KgentsHealthUnknown", "KgentsHealthScorerMissing"} == set()
        running.services["health-scorer"].kill()
        dead = {"KgentsTargetDown", "KgentsHealthUnknown", "KgentsHealthScorerMissing"}

        async def is_noticed() -> bool:
            return await pending_or_firing(running) >= dead

        await eventually(is_noticed, within_s=30.0)
