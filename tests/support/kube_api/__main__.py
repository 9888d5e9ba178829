"""`python -m support.kube_api --pods 100000`: a server in its own process, for benches; prints kubeconfig and URL.

A number on its standard input lets so many pods change; it answers with a line when all of them have. `replace 10000
60 FILE` replaces so many pods within so many seconds, and writes when each new one came.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from support import kube_objects
from support.kube_api.server import KubeApi

PODS_PER_DEPLOYMENT = 100
BREATH = 20
"""Changes before the watches get their turn."""


def fill(api: KubeApi, pods: int) -> None:
    """Deployments of 100 pods each, in one namespace, on one node."""
    api.create(kube_objects.namespace("bench"))
    api.create(kube_objects.node("node-1"))
    for start in range(0, pods, PODS_PER_DEPLOYMENT):
        replicas = min(PODS_PER_DEPLOYMENT, pods - start)
        for content in kube_objects.deployment(f"web-{start:06d}", "bench", replicas=replicas):
            api.create(content)


async def serve(pods: int, port: int, kubeconfig: Path) -> None:
    async with KubeApi(port=port) as api:
        fill(api, pods)
        print(api.kubeconfig(kubeconfig), api.url, flush=True)
        names = [each["metadata"]["name"] for each in api.objects("pods")]
        # Until the bench that started us closes our standard input, or dies.
        while line := await asyncio.to_thread(sys.stdin.readline):
            if line.startswith("replace "):
                _, count, within_s, file = line.split()
                Path(file).write_text(json.dumps(await replace(api, int(count), within_s=float(within_s))))
            else:
                await change(api, names, int(line))
            print("changed", flush=True)


async def change(api: KubeApi, names: list[str], count: int) -> None:
    """One pod after the other gets another reason, which is another status."""
    for number in range(count):
        lap, index = divmod(number, len(names))
        api.patch_status("pods", "bench", names[index], {"reason": f"Change{lap}"})
        if number % BREATH == 0:
            await asyncio.sleep(0)


async def replace(api: KubeApi, count: int, *, within_s: float) -> dict[str, float]:
    """One pod after the other goes, and another comes in its place; returns when each new one came, by its name."""
    pods = api.objects("pods")
    names = [each["metadata"]["name"] for each in pods]
    loop = asyncio.get_running_loop()
    came: dict[str, float] = {}
    start_s = loop.time()
    for number in range(count):
        lap, index = divmod(number, len(pods))
        old = pods[index]["metadata"]
        name = f"{names[index]}-{lap + 1}"
        metadata = {key: value for key, value in old.items() if key not in ("uid", "resourceVersion")}
        came[name] = time.monotonic()
        pods[index] = api.create(pods[index] | {"metadata": metadata | {"name": name}})
        api.delete("pods", old["namespace"], old["name"])
        if number % BREATH == 0:
            await asyncio.sleep(max(0.0, start_s + (number + 1) * within_s / count - loop.time()))
    return came


def main() -> None:
    parser = argparse.ArgumentParser(prog="support.kube_api", description=__doc__)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--kubeconfig", type=Path, default=Path(tempfile.gettempdir()) / "kube-api.kubeconfig")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.pods, arguments.port, arguments.kubeconfig))


if __name__ == "__main__":
    main()
