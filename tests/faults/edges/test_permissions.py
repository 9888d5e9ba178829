"""Each login of a hub and of an edge against each subject, on real servers: what is refused is what should be."""

import json
import ssl
from collections.abc import Collection, Iterator
from pathlib import Path

import nats

from kgents_shared.contract.audit import ACTIONS
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
    *(f"kgents.{signal}.A.x" for signal in ("silence", "ack", "incident")),
    "kgents.notice.A.slack.x",
    *(f"kgents.audit.A.{action}" for action in ACTIONS),
    "world.infra.topology",
    "world.archive.state.A",
    "kgents_deliver.A.x",
    "$JSC.R.x",
    "_INBOX_gateway.hub.x",
    *(f"$JS.API.STREAM.{verb}.{stream}" for verb in VERBS for stream in sorted(NAME_BY_SIGNAL.values())),
    *(f"$JS.A.API.STREAM.{verb}.KGENTS_ENTITY" for verb in ("INFO", "PURGE", "DELETE", "CREATE")),
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.SERVER.ID.KICK",
]
PEOPLE = ("auditor", "backup", "operator", "provision", "reader")
"""Who runs commands: each has its answers below its own public key."""
LISTENED = {"world.infra.>": ("gateway",), "world.archive.>": ("archiver",)}
"""Who may hear requests."""
SUBSCRIBED = [
    *LISTENED, "_INBOX_cli.>", "_INBOX_cli.*.>", "_INBOX_kgents-client.>", "world.>", "kgents.>", "kgents.entity.>",
    "kgents.entity.A.docker.>", "kgents.silence.>", "kgents.meta.>", "kgents_deliver.>", "_INBOX.>",
    "_INBOX_gateway.>", "_INBOX_edge-sync.>", "$JS.>", "$JS.API.>", "$JS.EVENT.ADVISORY.>", "$JSC.R.>", "$SYS.>",
]  # fmt: skip


def may(login: str, place: str, subject: str) -> bool:
    """The policy, in words of its own: who may publish what."""
    match subject.split("."):
        case ["kgents", "meta", cluster, service, _]:
            return service == login and (cluster == place or login in (*KEEPERS.values(), "edge-sync"))
        case ["kgents", "audit", _, action]:
            return action in RECORDED.get(login, ())
        case ["kgents", "entity" | "pulse" | "event" as signal, cluster, source, *_]:
            is_its_own = login == f"collector-{source}" and cluster == place
            return is_its_own or (signal == "entity" and login == "edge-sync")
        case ["$JS", "API", "STREAM", verb, stream]:
            return login in BY_VERB.get(verb, ()) or login in BY_VERB.get(f"{verb} {stream}", ())
        case [root, signal, *_] if (known := BY_SIGNAL.get(f"{root}.{signal}")) is not None:
            return login in known
        case _:
            return subject == "$JS.A.API.STREAM.INFO.KGENTS_ENTITY" and login == "edge-sync"


COPIED = set(NAME_BY_SIGNAL.values()) - {NAME_BY_SIGNAL["meta"]}
DECIDED = ("acknowledge", "unacknowledge", "silence", "unsilence")
RECORDED = {
    "provision": (
        "provision", "token", "edge-init", "edge-new", "edge-update", "edge-rotate", "edge-revoke", "archive-migrate",
        "archive-forget",
    ),
    "backup": ("restore",),
    "operator": DECIDED,
    "gateway": DECIDED,
    "alert-notifier": DECIDED[:3],
    "edge-sync": ("edge-resync",),
    "archiver": ("anchor",),
}  # fmt: skip
"""What each records of its own writes; no one else says that it has done so."""
BY_SIGNAL = {
    **{f"kgents.{signal}": (keeper,) for signal, keeper in KEEPERS.items()},
    **{f"kgents.{signal}": ("operator", "gateway", "alert-notifier") for signal in ("silence", "ack")},
    **{f"kgents.{signal}": ("alert-notifier",) for signal in ("incident", "notice")},
    "world.archive": ("reader", "auditor", "operator", "gateway"),
}
BY_VERB = {
    "CREATE": ("provision",),
    "UPDATE": ("provision",),
    **{f"UPDATE KGENTS_{signal.upper()}": ("edge-sync",) for signal in COLLECTED},
    **{f"{verb} {stream}": ("backup",) for verb in ("SNAPSHOT", "RESTORE", "DELETE") for stream in COPIED},
    "PURGE KGENTS_TOPOLOGY": ("topology-builder",),
    "PURGE KGENTS_HEALTH": ("health-scorer",),
    "PURGE KGENTS_ALERT": ("health-scorer",),
    "PURGE KGENTS_INCIDENT": ("alert-notifier",),
}
"""The history of what was removed days ago is purged by its writers; no one purges what collectors report."""
del BY_VERB[f"DELETE {NAME_BY_SIGNAL['audit']}"]  # no login removes the trail


async def test_each_login_may_publish_what_the_policy_says_and_nothing_else(tmp_path: Path) -> None:
    async with EdgeSite(tmp_path, names=["A"]) as site:
        edge = site.edges["A"]
        wrong = []
        tried = 0
        for place, directory, url in (("hub", site.hub, site.url), ("A", edge.directory, f"tls://{edge.address}:4222")):
            heard = {**dict.fromkeys(SUBSCRIBED, ()), **LISTENED, **_answers(directory)}
            for login in _logins(directory):
                refused, unheard = await _refused_to(directory, _seed(directory, login), url, heard)
                wrong += [
                    (login, place, f"subscribe {subject}", "refused" if subject in unheard else "permitted")
                    for subject, hearers in heard.items()
                    if (subject not in unheard) != (login in hearers)
                ]
                for subject in SUBJECTS:
                    if place == "A" and subject.startswith("$JS.A."):
                        continue  # there this is another name of $JS.API, tried above
                    tried += 1
                    if (subject not in refused) != may(login, place, subject):
                        wrong.append((login, place, subject, "refused" if subject in refused else "permitted"))
        assert wrong == [], "\n".join(map(str, wrong))
        assert tried > 1500
        leaf = next(
            line.split()[1] for line in (edge.directory / "leaf.conf").read_text().splitlines() if "nkey:" in line
        )
        refused, unheard = await _refused_to(site.hub, leaf, site.url, SUBSCRIBED)
        assert set(SUBJECTS) - refused == {"kgents_deliver.A.x", "$JSC.R.x"}, "an edge publishes only what is copied"
        assert set(SUBSCRIBED) - unheard == set()


def _logins(directory: Path) -> Iterator[str]:
    yield from sorted(file.stem for file in (directory / "keys").glob("*.nk") if file.stem != "sys")


def _answers(directory: Path) -> dict[str, tuple[str, ...]]:
    """Where each person is answered, and who may hear it."""
    keys = json.loads((directory / "logins.json").read_text())["logins"]
    return {f"_INBOX_cli.{key}.>": (login,) for login in PEOPLE for key in keys.get(login, ())}


def _seed(directory: Path, login: str) -> str:
    return (directory / "keys" / f"{login}.nk").read_text().strip()


async def _refused_to(directory: Path, seed: str, url: str, subscribed: Collection[str]) -> tuple[set[str], set[str]]:
    """What the server does not let this login publish, and subscribe to; by the protocol, not by time-outs."""
    errors: list[str] = []

    async def on_error(error: Exception) -> None:
        errors.append(str(error).lower())

    context = ssl.create_default_context(cafile=directory / "tls" / "ca.pem")
    client = await nats.connect(url, nkeys_seed_str=seed, tls=context, error_cb=on_error, allow_reconnect=False)
    try:
        for subject in subscribed:
            await client.subscribe(subject)
        for subject in SUBJECTS:
            await client.publish(subject, b"{}")
        for _ in range(2):  # its flush sends the ping first
            await client.flush()
    finally:
        await client.close()
    said = "\n".join(errors)
    return (
        {subject for subject in SUBJECTS if f'publish to "{subject.lower()}"' in said},
        {subject for subject in subscribed if f'subscription to "{subject.lower()}"' in said},
    )
