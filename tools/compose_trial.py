"""`python -m compose_trial [PROFILE…]`: deploy/compose as an operator starts it, on an engine of its own.

As root on Linux, with the servers that `make servers` installs; no registry of images is asked. The images of our
services are built as `make images` does, on a base made of this Python; those of NATS, haproxy and Prometheus are made
of the programs of this machine. Prints what became of each container, and what Prometheus reads of them.
"""

import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kgents_shared.runtime.config import process_environ
from release.__main__ import build
from release.closure import ROOT, environment_of
from release.packages import Release
from support.base_image import NAME as BASE
from support.base_image import base_archive
from support.docker_engine import docker_engine
from support.programs import find
from support.waiting import eventually_blocking

PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
UP_S: Final = 300.0
PROFILES: Final = ("core", "docker", "databases", "observability")
OWN: Final = "kgents-"
TOOLS: Final = ("sh", "test", "wget", "cat", "tr", "cut", "sha256sum", "grep")
PROMETHEUS: Final = "http://127.0.0.1:9090"


def main(profiles: list[str]) -> None:
    """Build, start, wait, print, and take all of it away."""
    engine = docker_engine()
    with tempfile.TemporaryDirectory(prefix="kgents-compose-") as directory:
        folder = Path(directory)
        deploy = shutil.copytree(ROOT / "deploy", folder / "deploy") / "compose"
        config = compose_plugin(folder / "docker")
        environ = {**process_environ(), "DOCKER_CONFIG": str(config), "DOCKER_HOST": engine.url}
        environ["DOCKER_SOCKET"] = str(engine.socket)
        environ |= foreign_images(engine.url)
        (deploy / "secrets").mkdir()
        run([sys.executable, "-m", "kgents_cli", "token", "me", "--file", "secrets/tokens"], deploy, environ)
        (deploy / "secrets/tokens").chmod(0o644)
        started = [word for profile in profiles for word in ("--profile", profile)]
        images = run(["docker", "compose", *started, "config", "--images"], deploy, environ).split()
        build_own(images, folder, engine.url)
        begun_s = time.monotonic()
        run(["docker", "compose", *started, "up", "-d"], deploy, environ, within_s=UP_S)
        try:
            eventually_blocking(lambda: is_well(deploy, started, environ), UP_S)
            say(f"after {time.monotonic() - begun_s:.0f} s:")
            say(run(["docker", "compose", *started, "ps", "-a", "--format", "table {{.Service}}\t{{.Status}}"],
                    deploy, environ))  # fmt: skip
            if "observability" in profiles:
                eventually_blocking(lambda: len(targets()) > 0, UP_S)
                say(json.dumps(targets(), indent=1))
        finally:
            run(["docker", "compose", *started, "down", "-v"], deploy, environ, within_s=UP_S)


def compose_plugin(config: Path) -> Path:
    """A configuration of the docker command that has `docker compose`."""
    (config / "cli-plugins").mkdir(parents=True)
    (config / "cli-plugins/docker-compose").symlink_to(needed("docker-compose"))
    return config


def build_own(images: list[str], folder: Path, url: str) -> None:
    """Those of the images that are of our services."""
    release = Release(environment_of(PYTHON), folder / "dist")
    release.wheels()
    shutil.copy(ROOT / ".dockerignore", folder)
    for image in sorted({each for each in images if each.startswith(OWN)}):
        member = image.removeprefix(OWN).partition(":")[0]
        release.packages(member)
        build(member, image, release.version, "-H", url, context=folder, base=BASE)
        say(f"built {image}")


def foreign_images(url: str) -> dict[str, str]:
    """The images of others, as variables of the Compose file."""
    import_image(base_archive(), BASE, url)
    made = {
        "NATS_IMAGE": ("nats-server", Path(sys.executable).with_name("nats-server"), "data", 0),
        "HAPROXY_IMAGE": ("haproxy", needed("haproxy"), "var", 0),
        "PROMETHEUS_IMAGE": ("prometheus", needed("prometheus"), "prometheus", 65534),
    }
    return {
        variable: foreign_image(url, {name: path}, data, owner) for variable, (name, path, data, owner) in made.items()
    }


def foreign_image(url: str, programs: Mapping[str, Path], data: str, owner: int) -> str:
    """The name of an image of programs of this machine, which starts the first; with a folder of an owner."""
    first, *_ = programs
    changes = ("--change", f'ENTRYPOINT ["{first}"]', "--change", "ENV PATH=/bin")
    import_image(archive(programs, data, owner), f"trial-{first}:1", url, *changes)
    return f"trial-{first}:1"


def import_image(content: bytes, name: str, url: str, *changes: str) -> None:
    """An image of a file system."""
    command = ["docker", "-H", url, "import", *changes, "-", name]
    subprocess.run(command, input=content, stdout=subprocess.DEVNULL, timeout=UP_S, check=True)  # noqa: S603 - as above


def archive(programs: Mapping[str, Path], data: str, owner: int) -> bytes:
    """A file system of programs, what they are linked with, a shell, and a folder for data."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", dereference=True) as tar:
        for folder, uid, mode in ((data, owner, 0o755), ("tmp", 0, 0o1777)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, mode, uid, uid
            tar.addfile(entry)
        for name, path in programs.items():
            tar.add(path, f"bin/{name}")
        for library in sorted({each for path in programs.values() for each in linked(path)}):
            tar.add(library, library.lstrip("/"))
        tar.add("/bin/busybox", "bin/busybox")
        for tool in TOOLS:
            link = tarfile.TarInfo(f"bin/{tool}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return content.getvalue()


def linked(program: Path) -> set[str]:
    """The libraries with which a program is linked."""
    command = ["/usr/bin/ldd", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - as above
    return set(re.findall(r"(/\S+\.so\S*) \(", done.stdout))


def is_well(deploy: Path, profiles: list[str], environ: Mapping[str, str]) -> bool:
    """Whether everything runs that should, and says that it is healthy."""
    lines = run(["docker", "compose", *profiles, "ps", "-a", "--format", "json"], deploy, environ).splitlines()
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return bool(found) and all(
        (each["State"], each["ExitCode"]) == ("exited", 0)
        if each["Service"] == "provision"
        else each["State"] == "running" and each["Health"] in ("", "healthy")
        for each in found
    )


def targets() -> dict[str, str]:
    """What Prometheus reads → whether it answers, or its error."""
    with urllib.request.urlopen(f"{PROMETHEUS}/api/v1/targets", timeout=10) as answer:  # noqa: S310 - a fixed address
        active = json.load(answer)["data"]["activeTargets"]
    return {each["labels"]["instance"]: each["lastError"] or each["health"] for each in active}


def needed(program: str) -> Path:
    """Where a program is."""
    if (found := find(program)) is None:
        raise SystemExit(f"needs {program}; try: make servers")
    return found


def run(command: list[str], folder: Path, environ: Mapping[str, str], within_s: float = 60.0) -> str:
    """A program; returns what it prints."""
    done = subprocess.run(  # noqa: S603 - commands of this module
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=within_s, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-3000:]}")
    return done.stdout


def say(text: str) -> None:
    """To the person who started it."""
    print(text, flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    main(sys.argv[1:] or list(PROFILES))
