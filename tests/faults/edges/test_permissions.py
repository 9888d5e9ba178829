"""Each login of a hub and of an edge against each subject, on real servers: what is refused is what should be."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import nats

from kgents_shared.contract.streams import NAME_BY_SIGNAL
from support.edge_site import EdgeSite

COLLECTED = ("entity", "pulse", "event", "meta")
KEEPERS = {"topology": "topology-builder", "health": "health-scorer", "alert": "health-scorer"}
SERVICES = ("collector-docker", "topology-builder", "edge-sync")
VERBS = ("CREATE", "UPDATE", "DELETE", "PURGE", "SNAPSHOT", "RESTORE", "MSG.DELETE", "MSG.GET")
SUBJECTS = [
    *(
        f"kgents.{signal}.{each}.container._.c"
        for signal in COLLECTED[:3]
        for each in ("A.docker", "A.k8s", "B.docker")
    ),
    *(f"kgents.meta.{cluster}.{service}.one" for cluster in ("A", "B", "hub") for service in SERVICES),
    *(f"kgents.{signal}.A.container._.c{'.KG-1' if signal == 'alert' else ''}" for signal in KEEPERS),
    *(f"$JS.API.STREAM.{verb}.{stream}" for verb in VERBS for stream in sorted(NAME_BY_SIGNAL.values())),
    *(f"$JS.A.API.STREAM.{verb}.KGENTS_ENTITY" for verb in ("INFO", "PURGE", "DELETE", "CREATE")),
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.SERVER.ID.KICK",
]


def may(login: str, place: str, subject: str) -> bool:
    """The policy, in words of its own: who may publish what."""
    match subject.split("."):
        case ["kgents", "meta", cluster, service, _]:
            return service == login and (cluster == place or login in (*KEEPERS.values(), "edge-sync"))
        case ["kgents", signal, cluster, source, *_]:
            is_its_own = login == f"collector-{source}" and cluster == place
            is_removal = signal == "entity" and login == "edge-sync"
            return login == KEEPERS.get(signal) or (signal not in KEEPERS and (is_its_own or is_removal))
        case ["$JS", "API", "STREAM", verb, stream]:
            return login in BY_VERB.get(verb, ()) or login in BY_VERB.get(f"{verb} {stream}", ())
        case _:
            return subject == "$JS.A.API.STREAM.INFO.KGENTS_ENTITY" and login == "edge-sync"


BY_VERB = {
    "CREATE": ("provision",),
    "UPDATE": ("provision",),
    **{f"UPDATE KGENTS_{signal.upper()}": ("edge-sync",) for signal in COLLECTED},
    "PURGE KGENTS_TOPOLOGY": ("topology-builder",),
    "PURGE KGENTS_HEALTH": ("health-scorer",),
    "PURGE KGENTS_ALERT": ("health-scorer",),
    "PURGE KGENTS_INCIDENT": ("alert-notifier",),
}
"""The history of what was removed days ago is purged by its writers; no one purges what collectors report."""


async def test_each_login_may_publish_what_the_policy_says_and_nothing_else(tmp_path: Path) -> None:
    async with EdgeSite(tmp_path, names=["A"]) as site:
        edge = site.edges["A"]
        wrong = []
        tried = 0
        for place, directory, url in (("hub", site.hub, site.url), ("A", edge.directory, f"tls://{edge.address}:4222")):
            for login in _logins(directory):
                refused = await _refused(directory, login, url)
                for subject in SUBJECTS:
                    if place == "A" and subject.startswith("$JS.A."):
                        continue  # there this is another name of $JS.API, tried above
                    tried += 1
                    if (subject not in refused) != may(login, place, subject):
                        wrong.append((login, place, subject, "refused" if subject in refused else "permitted"))
        assert not wrong, wrong
        assert tried > 500
        leaf = next(
            line.split()[1] for line in (edge.directory / "leaf.conf").read_text().splitlines() if "nkey:" in line
        )
        permitted = set(SUBJECTS) - await _refused_to(site.hub, leaf, site.url)
        assert permitted == set(), "an edge may publish none of these at its hub"


def _logins(directory: Path) -> Iterator[str]:
    yield from sorted(file.stem for file in (directory / "keys").glob("*.nk") if file.stem != "sys")


async def _refused(directory: Path, login: str, url: str) -> set[str]:
    return await _refused_to(directory, (directory / "keys" / f"{login}.nk").read_text().strip(), url)


async def _refused_to(directory: Path, seed: str, url: str) -> set[str]:
    """The subjects that the server does not let this login publish; by the protocol, not by time-outs."""
    errors: list[str] = []

    async def on_error(error: Exception) -> None:
        errors.append(str(error))

    context = ssl.create_default_context(cafile=directory / "tls" / "ca.pem")
    client = await nats.connect(url, nkeys_seed_str=seed, tls=context, error_cb=on_error, allow_reconnect=False)
    try:
        for subject in SUBJECTS:
            await client.publish(subject, b"{}")
        for _ in range(2):  # its flush sends the ping first
            await client.flush()
    finally:
        await client.close()
    return {subject for subject in SUBJECTS if any(f'"{subject.lower()}"' in each.lower() for each in errors)}
