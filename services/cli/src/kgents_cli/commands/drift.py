"""`kgents drift`: manifests, and the topology of one cluster → what differs."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, Final

import click
import msgspec

from kgents_cli.connection import connected, require_state
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import note, say
from kgents_cli.records import say_list
from kgents_cli.table import Cell, table
from kgents_shared.contract.attestation import BUILDER, Attestation
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.vocabulary import edges
from kgents_shared.kubernetes.desired.drift import (
    SOURCE,
    Finding,
    Live,
    Observed,
    drift,
    name_of,
    sentence,
    unmarked,
)
from kgents_shared.kubernetes.desired.manifests import Manifest, manifests
from kgents_shared.view.entity import EntityView
from kgents_shared.view.live import snapshot
from kgents_shared.view.selection import Selection

IN_LINE: Final = 0
DRIFT: Final = 1
NOT_KNOWN: Final = 2

_HEADING: Final = ("STATE", "OBJECT", "WHAT")
_COLOURS: Final = {"missing": "critical", "extra": "warning", "different": "warning", "unknown": "unknown"}
_REPORTED: Final = frozenset({"missing", "extra", "different", "unknown"})


@click.command("drift")
@click.argument("path", metavar="[DIR|FILE|-]", required=False)
@click.option("--git", metavar="URL[@REF]:PATH", help="Manifests of a git repository instead.")
@click.option("-n", "--namespace", default="default", show_default=True, help="Of objects that name no namespace.")
@click.option("--all", "with_all", is_flag=True, help="Also what is in line, and what is not compared.")
@output_option("table", "json", "yaml")
@target_options
def command(path: str | None, git: str | None, namespace: str, with_all: bool, output: str, target: Target) -> int:
    """Compare manifests with what runs: missing and extra objects, images, replicas, labels. It changes nothing.

    Only what a manifest states is compared, and replicas only if no autoscaler decides them. An object without a
    manifest is extra if it has the same instance label (app.kubernetes.io/instance, or Argo CD's, Flux's, part-of) and
    no owner. What is not observed is `unknown`. A kustomization is rendered by kustomize or kubectl; a Helm chart is
    not: give what `helm template` prints. ConfigMaps, Secrets and kinds that kgents does not read are not compared.

    The exit code is 0 if all is in line, 1 if something differs, 2 if that is not known.

    \b
    Examples:
      kgents drift deploy/ --cluster prod
      kgents drift --git https://example.com/shop.git@main:deploy/prod
      helm template shop ./chart -n shop | kgents drift - -n shop
    """  # noqa: D301
    if (path is None) == (git is None):
        raise click.UsageError("expected DIR, FILE or - (standard input), or --git, one of them")
    desired, origin = _desired(path, git, namespace)
    live = asyncio.run(_live(target))
    found = drift(desired, live)
    _say(found, output, with_all=with_all)
    note(_summary(found, f"{origin} and cluster {live.cluster}"))
    if unmarked(desired):
        note("extra objects: not known, since no manifest has a label that names its instance")
    states = {each.state for each in found}
    if states & {"missing", "extra", "different"}:
        return DRIFT
    return NOT_KNOWN if "unknown" in states else IN_LINE


def _desired(path: str | None, git: str | None, namespace: str) -> tuple[list[Manifest], str]:
    reading = import_module("kgents_shared.kubernetes.desired.reading")  # its YAML parser is slow to import
    if git is not None:
        with import_module("kgents_cli.git_folder").fetched(git) as (place, commit):
            documents, origin = reading.read(str(place)), f"manifests of commit {commit}"
    else:
        documents, origin = reading.read(str(path)), f"manifests of {path}" if path != reading.STDIN else "manifests"
    parsed: list[tuple[str, list[Any]]] = documents
    found = [each for file, objects in parsed for each in manifests(objects, namespace=namespace, file=file)]
    if not found:
        raise KgentsError("expected manifests (YAML with apiVersion and kind), found none")
    return found, origin


async def _live(target: Target) -> Live:
    async with connected(target.load()) as bus:
        await require_state(bus)
        clusters = (target.cluster,) if target.cluster is not None else ()
        fold = await snapshot(bus, Selection(clusters=clusters), signals=("topology",))
    views = [each for each in fold.entities() if SOURCE in each.sources]
    names = sorted({each.ref.cluster for each in views})
    if len(names) > 1:
        raise KgentsError(
            f"expected one cluster, found {', '.join(names)}; name one with --cluster, see `kgents get all`"
        )
    if not names:
        raise KgentsError(
            "no object of a Kubernetes cluster is published; see which collectors report with `kgents doctor`"
        )
    return live_of(names[0], views, fold.attestation)


def live_of(cluster: str, views: Iterable[EntityView], attestation: Attestation) -> Live:
    """What the topology knows of one cluster."""

    def unread(ref: Ref) -> str:
        scopes = attestation.unread.get((cluster, SOURCE), ())
        found = attestation.silence(ref, BUILDER) or next((each for each in scopes if each.covers(ref)), None)
        if found is None:
            return ""
        return "not observed now" + (f": {found.reason}" if found.reason else "")

    return Live(cluster, {each.ref: _observed(each) for each in views}, unread)


def _observed(view: EntityView) -> Observed:
    topology = view.topology
    if topology is None:
        return Observed(view.ref)
    return Observed(
        view.ref,
        topology.labels,
        topology.attributes,
        topology.cut,
        is_stale=SOURCE in view.stale,
        is_owned=bool(view.owners),
        scales=tuple(each.peer for each in topology.connections if each.kind == edges.SCALES),
    )


def _say(found: Sequence[Finding], output: str, *, with_all: bool) -> None:
    if output != "table":
        say_list([msgspec.json.encode(each) for each in found], output)
        return
    shown = [each for each in found if with_all or each.state in _REPORTED]
    rows = [(Cell(each.state, _COLOURS.get(each.state, "healthy")), name_of(each), sentence(each)) for each in shown]
    if rows:
        for line in table(_HEADING, rows):
            say(line)


def _summary(found: Sequence[Finding], between: str) -> str:
    count = Counter(each.state for each in found)
    parts = [f"{number} {state}" for state, number in count.items()]
    return f"{between}: {', '.join(parts)}"
