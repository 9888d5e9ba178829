"""`kgents alerts test RECEIVER`: a marked test and its end, and what failed."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.http_stand_in import Fault, Got, Reply, StandIn
from support.vendor_rules import PagerDutyService


def ok(_: Got) -> Reply:
    return Reply(204)


async def run(directory: Path, receivers: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    config = directory / "kgents.yaml"
    config.write_text(json.dumps({"alert-notifier": {"receivers": receivers}}))
    command = [sys.executable, "-m", "kgents_cli", "alerts", "test", *arguments, "--config", str(config)]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)


async def test_a_test_is_marked_and_closed_again(tmp_path: Path) -> None:
    service = PagerDutyService()
    async with StandIn(service.rules) as server:
        done = await run(tmp_path, {"pager": {"pagerduty": {"key": "k" * 32, "url": server.url}}}, "pager")
    assert (done.returncode, done.stdout) == (0, "✔ pager has the test\n"), done.stderr
    assert [each["event_action"] for each in service.events] == ["trigger", "resolve"]
    assert service.events[0]["payload"]["summary"] == "TEST, WARNING: test of the receiver pager"


@pytest.mark.parametrize("path", ["/canary-path"])
async def test_what_failed_is_named_without_the_address(tmp_path: Path, path: str) -> None:
    async with StandIn(ok) as server:
        server.faults = [Fault("reply", Reply(404))]
        done = await run(tmp_path, {"tool": {"webhook": {"url": server.url + path}}}, "tool")
    assert (done.returncode, done.stdout) == (1, "✘ tool: HTTP 404\n")
    assert "canary" not in done.stderr


async def test_the_dead_man_is_pinged_and_an_unknown_receiver_is_named(tmp_path: Path) -> None:
    async with StandIn(ok) as server:
        receivers = {"alive": {"deadman": {"url": f"{server.url}/ping"}}}
        done = await run(tmp_path, receivers, "alive")
        assert (done.returncode, len(server.got)) == (0, 1)
        unknown = await run(tmp_path, receivers, "alife")
    assert unknown.returncode == 2
    assert "did you mean alive?" in unknown.stderr


async def test_all_receivers_are_tried_and_what_is_probably_not_meant_is_said(tmp_path: Path) -> None:
    async with StandIn(ok) as good, StandIn(ok) as bad:
        bad.faults = [Fault("reply", Reply(404))]
        receivers = {"tool": {"webhook": {"url": good.url}}, "other": {"webhook": {"url": bad.url}}}
        done = await run(tmp_path, receivers, "--all")
    assert (done.returncode, done.stdout) == (1, "✔ tool has the test\n✘ other: HTTP 404\n")
    assert "no receiver `deadman`" in done.stderr
    for arguments in ((), ("tool", "--all")):
        wrong = await run(tmp_path, receivers, *arguments)
        assert (wrong.returncode, "expected a RECEIVER or --all" in wrong.stderr) == (2, True)
