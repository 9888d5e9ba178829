"""`python -m support.kube_api --pods 100000`: a server in its own process, for benches; prints kubeconfig and URL.

A number on its standard input lets so many pods change; it answers with a line when all of them have.
"""

import argparse
import asyncio
import sys
import tempfile
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
            await change(api, names, int(line))
            print("changed", flush=True)


async def change(api: KubeApi, names: list[str], count: int) -> None:
    """One pod after the other gets another reason, which is another status."""
    for number in range(count):
        lap, index = divmod(number, len(names))
        api.patch_status("pods", "bench", names[index], {"reason": f"Change{lap}"})
        if number % BREATH == 0:
            await asyncio.sleep(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="support.kube_api", description=__doc__)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--kubeconfig", type=Path, default=Path(tempfile.gettempdir()) / "kube-api.kubeconfig")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.pods, arguments.port, arguments.kubeconfig))


if __name__ == "__main__":
    main()
