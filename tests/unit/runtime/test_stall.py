"""The longest time that a service keeps its event loop, on real loops in processes of their own."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kgents_shared.contract.meta import STALL_S
from kgents_shared.runtime.stall import LATELY_S, SAMPLE_S, StallMeter
from support.process import spawn

UNSEEN_S = 0.4
"""How much of a computation may pass before it is seen. Beside busy processes that is more than SAMPLE_S: the kernel
counts by its ticks, and most of them fall into the others."""

PRELUDE = """
import asyncio, sys, time
import uvloop
from kgents_shared.runtime.stall import StallMeter

def compute(cpu_s):
    ends_s = time.thread_time() + cpu_s
    while time.thread_time() < ends_s:
        pass

async def compute_in_slices(cpu_s):
    for _ in range(round(cpu_s / 0.01)):
        compute(0.01)
        await asyncio.sleep(0)

async def main():
    with StallMeter() as stalls:
        await asyncio.sleep(0.01)
        await work()
        await asyncio.sleep(0.01)
        print(stalls.longest_s, stalls.count)
"""
RUN = "\nuvloop.run(main())\n"


def started(work: str) -> "subprocess.Popen[bytes]":
    code = f"{PRELUDE}\nasync def work():\n    {work}\n{RUN}"
    return spawn([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def measured(process: "subprocess.Popen[bytes]") -> tuple[float, int]:
    out, _ = process.communicate()
    assert process.returncode == 0
    longest_s, count = out.split()[-2:]
    return float(longest_s), int(count)


@pytest.mark.parametrize("took_s", [0.6, 1.0])
def test_a_computation_is_found(took_s: float) -> None:
    longest_s, count = measured(started(f"compute({took_s})"))
    assert took_s - UNSEEN_S < longest_s < took_s + SAMPLE_S
    assert count == 1


def test_each_computation_is_counted() -> None:
    work = "[(compute(0.6), await asyncio.sleep(0.001)) for _ in range(3)]"
    longest_s, count = measured(started(work))
    assert longest_s > STALL_S
    assert count == 3


def test_as_much_in_slices_is_none() -> None:
    longest_s, count = measured(started("await compute_in_slices(0.5)"))
    assert 0 < longest_s < STALL_S
    assert count == 0


def test_tasks_that_take_turns_add_up_to_one_turn_of_the_loop() -> None:
    work = "await asyncio.wait([asyncio.create_task(compute_in_slices(0.02)) for _ in range(80)])"
    longest_s, _ = measured(started(work))
    assert 0.8 - UNSEEN_S < longest_s < 0.8 + 2 * SAMPLE_S


def test_a_process_that_was_stopped_did_not_compute() -> None:
    process = started("print('ready', flush=True); sys.stdin.readline(); await compute_in_slices(0.5)")
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdin.write(b"\n")
    process.stdin.flush()
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGCONT)
    longest_s, count = measured(process)
    assert longest_s < STALL_S
    assert count == 0


def test_the_work_of_another_thread_is_no_stall() -> None:
    longest_s, count = measured(started("await asyncio.to_thread(compute, 0.5)"))
    assert longest_s < STALL_S
    assert count == 0


def test_a_stall_is_reported_for_a_while_and_then_the_longest_since() -> None:
    stalls = StallMeter()
    for at_s, took_s in ((0.0, 0.4), (100.0, 0.1), (200.0, 0.2)):
        stalls._note(took_s, at_s)
    assert stalls.lately_s(LATELY_S) == 0.4
    assert stalls.lately_s(LATELY_S + 50) == 0.2
    assert stalls.lately_s(LATELY_S + 250) == 0.0
    assert stalls.longest_s == 0.4
