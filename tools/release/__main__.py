"""`PYTHONPATH=tools python -m release COMMAND`: this checkout → what a release consists of, below dist/."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import click

from release.chart import CHART, document
from release.closure import ROOT, environment_of
from release.kubernetes import rendered
from release.notes import section
from release.packages import DIST, Release, members, run

BUILD_TIMEOUT_S: Final = 900
DOCKERFILE: Final = ROOT / "deploy/images/Dockerfile"


class _Commands(click.Group):
    """Commands whose faults are one line."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (ValueError, OSError, subprocess.SubprocessError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands)
def main() -> None:
    """Build what a release consists of."""


_python = click.option("--python", default="3.13", show_default=True, help="The minor version in the base image.")


@main.command()
def wheels() -> None:
    """The wheels of all members: dist/wheels."""
    _print(Release(environment_of("3.11")).wheels())


@main.command()
@_python
@click.option("--platform", help="Of the machines that run it, as uv says it; this one's by default.")
@click.option("--base", default="", help="The base image; by default the slim one of that Python.")
@click.option("--tag", default="", help="By default the version of the wheels.")
@click.option("--no-build", is_flag=True, help="Only the packages, for a builder of your own.")
@click.argument("services", nargs=-1)
def images(services: tuple[str, ...], python: str, platform: str | None, base: str, tag: str, no_build: bool) -> None:
    """An image for each service, kgents-SERVICE:TAG, by the docker command of this machine."""
    release = Release(environment_of(python))
    release.wheels()
    version = release.version
    options = ("--python-platform", platform) if platform else ()
    for member in members(services):
        folder = release.packages(member, *options)
        image = f"kgents-{member}:{tag or version}"
        if not no_build:
            build(member, image, version, base=base or f"python:{python}-slim")
        click.echo(folder if no_build else image)


@main.command()
@_python
@click.argument("services", nargs=-1)
def sbom(services: tuple[str, ...], python: str) -> None:
    """What is in each image, in CycloneDX: dist/sbom."""
    release = Release(environment_of(python))
    release.wheels()
    for member in members(services):
        release.requirements(member)
        _print([release.contents(member)])


@main.command()
@click.option("--helm", default="helm", show_default=True, help="The program.")
def chart(helm: str) -> None:
    """The chart as one file: dist/kgents-VERSION.tgz."""
    run([helm, "package", str(CHART), "--destination", str(DIST)])
    _print(sorted(DIST.glob("kgents-*.tgz")))


@main.command()
def notes() -> None:
    """What the changelog says of this version: dist/notes.md."""
    version = Release(environment_of("3.11")).version
    path = DIST / "notes.md"
    path.write_text(section((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version), encoding="utf-8")
    _print([path])


@main.command()
def schema() -> None:
    """The schema of the chart's values, on stdout."""
    click.echo(document(), nl=False)


@main.command()
@click.option("--helm", default="helm", show_default=True, help="The program.")
def kubernetes(helm: str) -> None:
    """The resources of the overlays, from the chart."""
    for path, text in rendered(helm).items():
        path.write_text(text, encoding="utf-8")
        _print([path])


def build(
    member: str, image: str, version: str, *docker: str, context: Path = ROOT, python: str = "", base: str = ""
) -> None:
    """Build one image of the packages in dist/images; `docker` are options of the docker command.

    The builder that every engine has is used: BuildKit is a plugin of the command, and would ask the registry of images
    for a base that is only here.

    Raises:
        ValueError: it failed; the text is the end of what the builder said.
    """
    given = {"SERVICE": member, "VERSION": version, "REVISION": _revision(), "BASE": base}
    target = "cli" if member == "cli" else "service"
    options = [word for name, value in given.items() for word in ("--build-arg", f"{name}={value}")]
    command = ["docker", *docker, "build", "--network", "none", "--target", target, *options, "-t", image]
    run([*command, "-f", str(DOCKERFILE), str(context)], within_s=BUILD_TIMEOUT_S, DOCKER_BUILDKIT="0")


def _revision() -> str:
    """The commit that is checked out; `unknown` outside of a repository."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - fixed words
    return done.stdout.strip() or "unknown"


def _print(paths: list[Path]) -> None:
    for path in paths:
        click.echo(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
