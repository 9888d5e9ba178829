"""A run of several benchmarks ends, whatever one of them does, and keeps what each has found."""

import argparse
import asyncio
from pathlib import Path

import pytest

from bench import command
from bench.figures import Figure
from bench.run import Run


async def hang(run: Run) -> None:
    run.report(Figure(bench=run.name, name="before it hangs", ours=1.0, unit="s"))
    await asyncio.Event().wait()


async def fail(run: Run) -> None:
    raise ValueError(f"{run.name} cannot")


async def work(run: Run) -> None:
    run.report(Figure(bench=run.name, name=f"at {run.sizes}", ours=1.0, unit="s"))


def test_one_that_hangs_or_fails_leaves_the_others_their_turn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "BENCHES", {"hangs": hang, "fails": fail, "works": work})
    monkeypatch.setattr(command, "LIMIT_S", 0.05)
    arguments = argparse.Namespace(names=[], output="text", size=[10, 5], quick=False)
    figures, failed = command._run(arguments, tmp_path)
    assert [each.name for each in figures] == ["before it hangs", "at (5, 10)"]
    assert failed == ["hangs", "fails"]
    assert "fails cannot" in capsys.readouterr().err
