"""The files of a hub and its edges, and what `kgents edge ls` says of one."""

import json
import re
import stat
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from kgents_cli.edge import rendering
from kgents_cli.edge.creating import ANY
from kgents_cli.edge.listing import edge_of
from kgents_cli.edge.rendering import LOOPBACK, Server
from kgents_shared.contract.meta import EDGE_SYNC, Cost, Heartbeat, Lease, Meta
from kgents_shared.contract.section import InvalidSectionError
from kgents_shared.contract.streams import OUTAGE_BUDGET_S, REMOVAL_TTL_S, StreamsConfig, streams
from release.chart import services
from support.build import NOW
from support.edge_site import command
from support.nats_server import BINARY

EXAMPLES = Path(__file__).parents[3] / "deploy" / "nats"
SEED = re.compile(r"\bSU[A-Z0-9]{56}\b")


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    command("edge", "init", tmp_path / "hub", "--host", "nats.example.org", "--no-tls")
    return tmp_path / "hub"


def make(hub: Path, name: str = "paris", url: str = "nats://nats.example.org:7422") -> Path:
    directory = hub.parent / f"edge-{name}"
    command("edge", "new", name, "--hub", hub, "--url", url, "--dir", directory)
    return directory


def test_the_server_takes_every_configuration(hub: Path) -> None:
    edge = make(hub)
    for directory in (hub, edge):
        checked = subprocess.run([BINARY, "-t", "-c", directory / "nats.conf"], capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr


def test_seeds_are_in_files_of_their_owner_alone_and_nowhere_else(hub: Path) -> None:
    edge = make(hub)
    for file in (each for directory in (hub, edge) for each in directory.rglob("*") if each.is_file()):
        is_secret = bool(SEED.search(file.read_text()))
        assert is_secret == (file.suffix == ".nk" or file.name == "leaf.conf"), file
        if is_secret:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_no_seed_is_printed(tmp_path: Path) -> None:
    printed = command("edge", "init", tmp_path / "hub", "--host", "h")
    printed += command(
        "edge", "new", "paris", "--hub", tmp_path / "hub", "--url", "tls://h:7422", "--dir", tmp_path / "e"
    )
    assert not SEED.search(printed)


def test_the_edge_becomes_one_of_the_hub_and_each_has_another_key(hub: Path) -> None:
    first, second = make(hub), make(hub, "rome")
    assert "edges: [paris, rome]" in (hub / "kgents.yaml").read_text()
    assert (first / "leaf.conf").read_text() != (second / "leaf.conf").read_text()


@pytest.mark.parametrize("name", ["pa.ris", "*", "", "a b", "x" * 65])
def test_a_name_that_is_no_domain_is_refused(hub: Path, name: str) -> None:
    with pytest.raises(AssertionError, match="as a name"):
        make(hub, name)


def test_a_name_that_there_is_keeps_its_keys(hub: Path) -> None:
    before = (make(hub) / "leaf.conf").read_text()
    with pytest.raises(AssertionError, match="which there is"):
        make(hub)
    assert (hub.parent / "edge-paris" / "leaf.conf").read_text() == before
    with pytest.raises(AssertionError, match="it is set up"):
        command("edge", "init", hub, "--host", "h")


def test_urls_with_and_without_tls_together_are_refused(hub: Path) -> None:
    with pytest.raises(AssertionError, match="expected --url tls"):
        command("edge", "new", "x", "--hub", hub, "--url", "tls://a:1", "--url", "nats://a:1", "--dir", hub / "x")


def test_an_unknown_collector_is_refused_before_anything_is_made(hub: Path) -> None:
    with pytest.raises(AssertionError, match="found nonsense"):
        command("edge", "new", "x", "--hub", hub, "--url", "nats://a:1", "--dir", hub / "x", "--collector", "nonsense")
    assert not (hub / "x").exists()


def test_an_update_permits_what_this_release_needs_and_leaves_all_other_keys(hub: Path) -> None:
    edge = make(hub)
    accounts, before = hub / "accounts.conf", seeds(hub)
    made = accounts.read_text()
    accounts.write_text(made.replace("kgents.topology.*.*.*.*", "kgents.old.>"))  # as another release wrote it
    command("edge", "update", hub)
    assert (accounts.read_text(), seeds(hub)) == (made, before)

    command("edge", "update", edge, "--add", "collector-host@web7,web8", "--remove", "collector-otel")
    text = (edge / "accounts.conf").read_text()
    for machine in ("web7", "web8"):
        assert f"kgents.entity.paris.host-{machine}.*.*.*" in text
    assert "kgents.entity.paris.otel." not in text
    assert seeds(edge).keys() >= {"collector-host@web7,web8", "collector-k8s"}
    assert "collector-otel" not in seeds(edge)


def test_a_login_gets_another_key_and_the_old_one_is_in_no_account(hub: Path) -> None:
    before, known = seeds(hub), public_keys(hub)
    printed = command("edge", "update", hub, "--remove", "gateway", "--add", "gateway")
    changed = {name for name, seed in seeds(hub).items() if seed != before[name]}
    assert changed == {"gateway"}
    assert not SEED.search(printed)
    assert not set(known["gateway"]) & {key for keys in public_keys(hub).values() for key in keys}
    assert known["gateway"][0] not in (hub / "accounts.conf").read_text()
    checked = subprocess.run([BINARY, "-t", "-c", hub / "nats.conf"], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_a_site_permits_what_its_settings_need_and_goes_on_to(hub: Path) -> None:
    config, accounts = hub / "kgents.yaml", hub / "accounts.conf"
    assert "orders.>" not in accounts.read_text()
    settings = (
        "streams:\n  archive_copy_max_bytes: 1000000\n",
        "nats:\n  nkey_seed_file: /run/secrets/kgents/nats.seed\n",  # of another machine
        "collector-nats: {subjects: {include: ['orders.>']}, system: {user: sys, password_file: /run/secrets/none}}\n",
    )
    given = config.read_text()
    for line in settings:
        section, _, rest = line.partition("\n")
        given = given.replace(f"{section}\n", line) if rest else given + line
    config.write_text(given)
    command("edge", "update", hub)
    for action in (lambda: None, lambda: make(hub, "rome")):
        action()
        assert "orders.>" in accounts.read_text()
        assert "KGENTS_COPY_TOPOLOGY" in accounts.read_text()


def test_each_person_has_a_login_and_hears_only_what_it_is_answered(hub: Path) -> None:
    printed = command("edge", "update", hub, "--add", "operator@alice", "--add", "reader@bob")
    assert "keys/operator@alice.nk" in printed
    users = (hub / "accounts.conf").read_text().split("        nkey: ")[1:]
    heard = {user.split()[0]: {*re.findall(r"_INBOX_(?:cli|kgents-client)[^\"]*", user)} for user in users}
    known = public_keys(hub)
    for login in ("operator@alice", "reader@bob", "reader", "provision", "backup", "auditor"):
        (key,) = known[login]
        assert heard[key] - {f"_INBOX_kgents-client.{key}.>"} == {f"_INBOX_cli.{key}.>"}
    assert not {subject for key in known["gateway"] for subject in heard[key]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--add", "gateway"), "which there is"),
        (("--add", "nonsense"), "found nonsense"),
        (("--remove", "nonsense"), "expected one of"),
        (("--remove", "sys"), "expected one of"),
        (("--remove", "gateway", "--add", "nonsense"), "found nonsense"),
        (("--add", "reader@"), "try: collector-host@web7"),
        (("--add", "reader@../x"), "try: collector-host@web7"),
        (("--add", "reader@x\n}"), "try: collector-host@web7"),
    ],
)
def test_an_update_that_cannot_be_done_changes_nothing(hub: Path, options: tuple[str, ...], said: str) -> None:
    before = (seeds(hub), (hub / "accounts.conf").read_text(), public_keys(hub))
    with pytest.raises(AssertionError, match=said):
        command("edge", "update", hub, *options)
    assert (seeds(hub), (hub / "accounts.conf").read_text(), public_keys(hub)) == before


@pytest.mark.parametrize("verb", ["update", "new", "revoke"])
def test_settings_that_cannot_be_used_are_refused_before_anything_is_done(hub: Path, verb: str) -> None:
    made = make(hub)
    with (hub / "kgents.yaml").open("a") as file:
        file.write("collector-nats: {subjects: {includ: ['orders.>']}}\n")
    before = (seeds(hub), (hub / "accounts.conf").read_text(), public_keys(hub))
    rome = hub.parent / "rome"
    rest: dict[str, list[str | Path]] = {
        "update": [hub, "--add", "reader@alice"],
        "new": ["rome", "--hub", hub, "--url", "nats://h:1", "--dir", rome],
        "revoke": [made.name.removeprefix("edge-"), "--hub", hub],
    }
    with pytest.raises(AssertionError, match="did you mean"):
        command("edge", verb, *rest[verb])
    assert (seeds(hub), (hub / "accounts.conf").read_text(), public_keys(hub)) == before
    assert not rome.exists()


def seeds(directory: Path) -> dict[str, str]:
    return {file.stem: file.read_text() for file in (directory / "keys").iterdir()}


def public_keys(directory: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((directory / "logins.json").read_text())["logins"]
    return found


def test_every_service_of_a_hub_and_who_keeps_its_streams_has_a_login(hub: Path) -> None:
    ours = {name for name, facts in services().items() if "hub" in facts["profiles"]}
    assert seeds(hub).keys() >= ours | {"provision", "backup", "reader", "auditor", "operator", "sys"}


def test_a_server_in_a_container_never_listens_without_tls(hub: Path) -> None:
    with pytest.raises(AssertionError, match="expected --host beside --container"):
        command("edge", "new", "x", "--hub", hub, "--url", "tls://a:1", "--dir", hub / "x", "--container")
    assert not (hub / "x").exists()


def test_an_edge_has_what_its_collectors_write_and_a_trail_of_its_own() -> None:
    signals = [each.signal for each in streams(StreamsConfig(place="edge"))]
    assert signals == ["entity", "pulse", "event", "audit", "meta"]
    hub = {each.signal: each.edges for each in streams(StreamsConfig(edges=["a"]))}
    assert (hub["entity"], hub["audit"]) == (("a",), ()), "which the hub does not copy"


def test_an_edge_of_an_edge_is_refused() -> None:
    with pytest.raises(InvalidSectionError, match="place is edge"):
        StreamsConfig(place="edge", edges=["a"])


def test_a_removal_outlives_two_outages() -> None:
    assert REMOVAL_TTL_S >= 2 * OUTAGE_BUDGET_S


def heartbeat(service: str, **fields: object) -> Heartbeat:
    known = {"text": "", "instance": "one", "version": "1", "started_at": NOW, "state": "in_sync"}
    return Heartbeat(service=service, **{**known, **fields})  # type: ignore[arg-type]  # of these names


def found(*beats: Heartbeat, lease_age_s: float | None = None) -> dict[str, tuple[Meta, float]]:
    meta: dict[str, tuple[Meta, float]] = {f"kgents.meta.a.{each.service}.one": (each, 1.0) for each in beats}
    if lease_age_s is not None:
        meta["kgents.meta.a.collector-k8s.lease"] = (Lease(text="", holder="one", acquired_at=NOW), lease_age_s)
    return meta


def test_what_waits_is_unknown_while_the_link_is_down_and_never_zero() -> None:
    edge = edge_of("a", found(heartbeat(EDGE_SYNC, state="degraded", reason="not connected")), 7, NOW)
    assert (edge.link, edge.backlog, edge.entities) == ("down", None, 7)
    assert (edge.lease_age_s, edge.rate_per_s, edge.cpu_percent, edge.memory_bytes) == (None, None, None, None)


def test_a_link_of_which_no_one_reports_is_unknown() -> None:
    edge = edge_of("a", {}, 0, NOW)
    assert (edge.link, edge.backlog) == ("unknown", None)
    assert "kgents run edge-sync" in edge.reason


def test_a_link_that_is_up_says_how_much_waits_and_what_the_collectors_cost() -> None:
    keeper = heartbeat(EDGE_SYNC, behind={"KGENTS_ENTITY": 2, "KGENTS_PULSE": 3}, watermark={"KGENTS_ENTITY": 40})
    collector = heartbeat("collector-k8s", source="k8s", published=120, cost=Cost(1.5, 1000))
    edge = edge_of("a", found(keeper, collector, lease_age_s=2.0), 9, NOW + timedelta(seconds=60))
    assert (edge.link, edge.backlog, edge.last_seq) == ("up", 5, {"KGENTS_ENTITY": 40})
    assert (edge.lease_age_s, edge.rate_per_s, edge.cpu_percent, edge.memory_bytes) == (2.0, 2.0, 1.5, 1000)


def test_a_blocked_copy_is_no_link_that_is_down() -> None:
    keeper = heartbeat(EDGE_SYNC, state="degraded", behind={"KGENTS_ENTITY": 2})
    assert edge_of("a", found(keeper), 0, NOW).link == "blocked"


def test_the_examples_in_deploy_are_what_the_commands_write() -> None:
    hosts = [f"n{number}.example.org" for number in (1, 2, 3)]
    at_hub = Server(name="hub-1", domain="hub", at="/etc/nats", listen=ANY)
    at_edge = Server(name="edge-paris", domain="paris", at="/etc/nats", listen=LOOPBACK, tls=False)
    expected = {
        "hub.conf": rendering.of_hub(at_hub, hosts[:1]),
        "hub-of-three.conf": rendering.of_hub(at_hub, hosts),
        "edge.conf": rendering.of_edge(at_edge),
        "leaf.conf": rendering.of_remote([f"tls://{hosts[0]}:7422"], "SU…", "/etc/nats/tls/ca.pem"),
    }
    assert {each.name: each.read_text() for each in EXAMPLES.glob("*.conf")} == expected


def test_nothing_of_ours_passes_the_link_by_itself() -> None:
    remote = (EXAMPLES / "leaf.conf").read_text()
    assert 'deny_imports: ["kgents.>"]' in remote
    assert 'deny_exports: ["kgents.>"]' in remote
