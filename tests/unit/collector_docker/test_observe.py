from typing import Any

import msgspec
import pytest
from msgspec import structs

from kgents_collector_docker.answers import (
    Endpoint,
    HostConfig,
    Image,
    Info,
    Inventory,
    Mount,
    Network,
    NetworkSettings,
    Nothing,
    PortBinding,
    Settings,
    Volume,
)
from kgents_collector_docker.listed import Listed
from kgents_collector_docker.mapping import observe
from kgents_collector_docker.mapping.address import PORTS_MAX
from kgents_collector_docker.mapping.scope import owner, part_name
from support.docker_answers import (
    AT,
    IMAGE_ID,
    IMAGE_NAME,
    make_container,
    make_inventory,
    make_scope,
    make_state,
    mapped,
)
from support.docker_watched import connection, edges

ANYWHERE = "0.0.0.0"  # noqa: S104 - as an engine writes it
BLUE = Network("n1", "blue", driver="bridge")


def in_blue(ip: str = "172.20.0.2", *aliases: str, **ports: list[PortBinding] | None) -> dict[str, Any]:
    given = {name.replace("_", "/"): bindings for name, bindings in ports.items()}
    return {"network_settings": NetworkSettings({"blue": Endpoint("n1", ip, aliases=list(aliases))}, given)}


def test_the_same_inventory_gives_the_same_entities_whatever_the_time() -> None:
    inventory = make_inventory(make_container(**in_blue()), networks=[BLUE])
    later = make_scope(at=make_scope().at.replace(year=2027))
    assert mapped(inventory) == mapped(inventory, later)


def test_names_and_addresses_are_claimed_by_the_one_that_they_mean() -> None:
    found = mapped(make_inventory(
        make_container("a", **in_blue("172.20.0.2", "db", "web")),
        make_container("b", **in_blue("172.20.0.3", "web")),
        networks=[BLUE],
    ))  # fmt: skip
    a, b = found["container a"], found["container b"]
    assert set(a.aliases) == {f"container-id:{a.uid}", "a", "a.blue", "db", "db.blue"}
    assert set(b.aliases) == {f"container-id:{b.uid}", "b", "b.blue"}
    assert (a.addresses, b.addresses) == (["172.20.0.2"], ["172.20.0.3"])


def test_published_ports_are_addresses_of_the_container() -> None:
    ports = in_blue("172.20.0.2", **{
        "80_tcp": [PortBinding(ANYWHERE, "8080"), PortBinding("::", "8080")],
        "443_tcp": [PortBinding("10.0.0.5", "443")],
        "53_udp": [PortBinding(ANYWHERE, "53")], "9000_tcp": None,
    })  # fmt: skip
    inventory = make_inventory(make_container(**ports), networks=[BLUE])
    own = ["172.20.0.2", *(f"172.20.0.2:{port}" for port in (53, 80, 443, 9000))]
    web = mapped(inventory)["container web"]
    assert web.addresses == [
        *own, *(f"{host}:{port}" for port in (53, 8080) for host in ("127.0.0.1", "localhost", "vm")), "10.0.0.5:443",
    ]  # fmt: skip
    assert web.attributes["kgents.docker.ports"] == [
        "0.0.0.0:53->53/udp", "0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp", "10.0.0.5:443->443/tcp", "9000/tcp",
    ]  # fmt: skip
    far = mapped(inventory, make_scope(engine="far", others=frozenset({""}), reached_at="far.example"))[
        "container far/web"
    ]
    assert far.addresses == ["far.example:53", "far.example:8080", "10.0.0.5:443"]
    assert far.aliases == [f"container-id:{far.uid}"]


def test_a_container_in_the_hosts_network_claims_the_hosts_addresses_with_the_ports_of_its_image() -> None:
    config = Settings("shop/cart:1.2", exposed_ports={"80/tcp": Nothing(), "53/udp": Nothing()})
    proxy = make_container("proxy", config=config, host_config=HostConfig(network_mode="host"))
    found = mapped(make_inventory(proxy), make_scope(reached_at="far.example"))["container proxy"]
    hosts = ("far.example", "127.0.0.1", "localhost", "vm")
    assert found.addresses == [f"{host}:{port}" for port in (53, 80) for host in hosts]
    assert found.attributes["kgents.docker.ports"] == ["53/udp", "80/tcp"]
    other = make_container("other", config=config, host_config=HostConfig(network_mode="none"))
    assert mapped(make_inventory(other))["container other"].addresses == []


def test_times_and_restarts_of_every_container_are_attributes() -> None:
    state = make_state("exited", finished_at=AT)
    found = mapped(make_inventory(make_container(state=state, restart_count=2), make_container("new")))
    ended, running = found["container web"].attributes, found["container new"].attributes
    assert (ended["kgents.docker.started_at"], ended["kgents.docker.finished_at"]) == (
        "2026-11-21T08:00:00Z", "2026-11-21T09:00:00Z",
    )  # fmt: skip
    assert (ended["kgents.docker.restart_count"], running["kgents.docker.restart_count"]) == (2, 0)
    assert "kgents.docker.finished_at" not in running


@pytest.mark.parametrize("reached_at", ["127.0.0.1", "127.8.8.8", "localhost", "::1", ""])
def test_an_engine_reached_by_a_tunnel_does_not_claim_the_ports_of_this_machine(reached_at: str) -> None:
    ports = in_blue("172.20.0.2", **{"80_tcp": [PortBinding(ANYWHERE, "8080"), PortBinding("127.0.0.1", "81")]})
    inventory = make_inventory(make_container(**ports), networks=[BLUE])
    scope = make_scope(engine="far", others=frozenset({"near"}), reached_at=reached_at)
    assert mapped(inventory, scope)["container far/web"].addresses == []


def test_a_range_of_ports_is_not_an_address_for_each() -> None:
    """A TURN server exposes 16,384: in three networks its entity would be too large to be published."""
    exposed = {f"{port}_tcp": None for port in range(49152, 65536)}
    published = {f"{port}_tcp": [PortBinding("10.0.0.5", str(port))] for port in range(30000, 40000)}
    web = make_container(**in_blue("172.20.0.2", **exposed, **published))
    found = mapped(make_inventory(web, networks=[BLUE]))["container web"].addresses
    assert found == ["172.20.0.2", *(f"10.0.0.5:{port}" for port in range(30000, 30000 + PORTS_MAX))]


def test_addresses_that_span_hosts_are_claimed_for_every_engine() -> None:
    inventory = make_inventory(make_container(**in_blue()), networks=[Network("n1", "blue", driver="overlay")])
    far = mapped(inventory, make_scope(engine="far", others=frozenset({""})))["container far/web"]
    assert far.addresses == ["172.20.0.2"]


def test_what_does_not_run_answers_nowhere() -> None:
    inventory = make_inventory(make_container(**in_blue(), state=make_state("exited")), networks=[BLUE])
    assert mapped(inventory)["container web"].addresses == []


def test_mounts_of_one_volume_are_one_connection() -> None:
    mounts = [
        Mount("volume", "data", "", "/b"), Mount("volume", "data", "", "/a", rw=False), Mount("tmpfs", "", "", "/t"),
        Mount("bind", "", "/etc/x", "/x"),
    ]  # fmt: skip
    web = mapped(make_inventory(make_container(mounts=mounts), volumes=[Volume("data")]))["container web"]
    assert connection(web, "volume data").attributes == {"kgents.docker.mounts": ["/a:ro", "/b"]}
    assert [each.attributes for each in web.connections if each.attributes.get("kgents.docker.binds")] == [
        {"kgents.docker.binds": ["/etc/x:/x"]}
    ]


def test_dependencies_are_to_every_container_of_the_service_but_no_one_off() -> None:
    def of(service: str, **more: str) -> dict[str, str]:
        return {"com.docker.compose.project": "shop", "com.docker.compose.service": service, **more}

    depends = {"com.docker.compose.depends_on": "db:service_healthy:false, cache,gone:service_started:true"}
    found = mapped(make_inventory(
        make_container("db-1", labels=of("db")), make_container("db-2", labels=of("db")),
        make_container("db-run", labels=of("db", **{"com.docker.compose.oneoff": "True"})),
        make_container("cache-1", labels=of("cache")), make_container("web-1", labels=of("web", **depends)),
        make_container("other", labels={"com.docker.compose.project": "y", "com.docker.compose.service": "db"}),
    ))  # fmt: skip
    web = found["container shop/web-1"]
    assert {each for each in edges(web) if each[2].startswith("container")} == {
        ("depends", "out", "container shop/db-1"), ("depends", "out", "container shop/db-2"),
        ("depends", "out", "container shop/cache-1"),
    }  # fmt: skip
    assert {"namespace shop", "namespace y"} <= found.keys()
    assert "depends_on" not in str(web.labels)


def test_a_named_engine_is_in_front_of_every_name() -> None:
    labels = {"com.docker.compose.project": "shop"}
    inventory = make_inventory(make_container(labels=labels, **in_blue()), networks=[BLUE], volumes=[Volume("data")])
    found = mapped(inventory, make_scope(engine="prod"))
    assert found.keys() == {
        "host prod", "namespace prod/shop", f"image prod/{IMAGE_NAME}", "network prod/blue", "volume prod/data",
        "container prod/shop/prod/web",
    }  # fmt: skip
    assert {owner(each, ["prod", ""]) for each in found.values()} == {"prod"}
    assert {owner(each, ["", "other"]) for each in found.values()} == {""}


def test_nothing_of_the_unnamed_engine_is_called_like_something_of_another_one() -> None:
    """Nor its machine: all of them share one subject space."""
    inventory = make_inventory(
        make_container(labels={"com.docker.compose.project": "prod/shop"}),
        networks=[Network("n1", "prod/blue"), Network("n2", "/prod/blue"), Network("n3", "production/blue")],
    )
    found = mapped(inventory, make_scope(host="prod", others=frozenset({"prod", "test"})))
    assert found.keys() == {
        "host /prod", "namespace /prod/shop", "container /prod/shop/web", f"image {IMAGE_NAME}",
        "network /prod/blue", "network //prod/blue", "network production/blue",
    }  # fmt: skip
    assert {owner(each, ["", "prod"]) for each in found.values()} == {""}
    alone = mapped(inventory, make_scope(host="prod"))
    assert {"host prod", "network prod/blue"} <= alone.keys()


def test_what_was_published_before_an_engine_got_its_name_is_not_of_another_engine_of_that_name() -> None:
    found = mapped(make_inventory(make_container(), networks=[BLUE]), make_scope(host="prod"))
    assert {owner(each, ["", "prod"]) for each in found.values() if each.ref.kind != "host"} == {""}


def test_an_image_that_the_engine_knows_by_another_id_than_its_container_does_is_shown() -> None:
    inventory = make_inventory(make_container(image="ab" * 32))  # without `sha256:`, as some write it
    asked = Inventory(inventory.info, inventory.containers, {}, {}, {"ab" * 32: Image(IMAGE_ID, ["shop/cart:1.2"])})
    found = mapped(asked)
    assert ("depends", "out", f"image {IMAGE_NAME}") in edges(found["container web"])
    assert found[f"image {IMAGE_NAME}"].uid == "ab" * 32


def test_another_tag_of_an_image_changes_nothing_but_the_image() -> None:
    before = mapped(make_inventory(make_container()))
    after = mapped(make_inventory(make_container(), images=[Image(IMAGE_ID, ["aaa:1", "shop/cart:1.2"])]))
    assert [ref for ref, entity in after.items() if entity != before[ref]] == [f"image {IMAGE_NAME}"]
    image = connection(after["container web"], f"image {IMAGE_NAME}")
    assert image.attributes == {"kgents.docker.image.reference": "shop/cart:1.2"}


def test_podman_is_the_same_engine_though_it_calls_itself_otherwise_each_time() -> None:
    def at(id_: str) -> Inventory:
        seen = make_inventory(make_container())
        return Inventory(Info(id_, "vm", buildah_version="1.28.2"), seen.containers, {}, {}, seen.images)

    found = mapped(at("16075b8d"))
    assert found == mapped(at("4555650c"))
    assert (found["host vm"].uid, found["host vm"].aliases) == ("", [])
    for name in ("host vm", "container web"):
        assert found[name].attributes["container.runtime.name"] == "podman"


def test_a_volume_is_the_same_whatever_is_written_into_it() -> None:
    """Engines before 24 call the last change of its directory its creation."""
    before = mapped(make_inventory(volumes=[Volume("data", "local")]))
    raw = b'{"Name": "data", "Driver": "local", "CreatedAt": "2026-11-21T19:46:47Z"}'
    assert mapped(make_inventory(volumes=[msgspec.json.decode(raw, type=Volume)])) == before


def test_networks_that_share_a_name_are_distinct() -> None:
    networks = [Network("1" * 64, "blue"), Network("2" * 64, "blue")]
    settings = NetworkSettings({"blue": Endpoint("2" * 64)})
    found = mapped(make_inventory(make_container(network_settings=settings), networks=networks))
    assert {"network blue@111111111111", "network blue@222222222222"} <= found.keys()
    assert ("network", "out", "network blue@222222222222") in edges(found["container web"])


def test_a_network_borrowed_from_a_container_connects_to_it() -> None:
    vpn = make_container("vpn")
    web = make_container("web", host_config=HostConfig(network_mode=f"container:{vpn.id}"))
    assert ("network", "out", "container vpn") in edges(mapped(make_inventory(vpn, web))["container web"])


def test_what_could_not_be_read_stays_as_it_is_published() -> None:
    labels = {"com.docker.compose.project": "shop"}
    whole = mapped(make_inventory(make_container(labels=labels), volumes=[Volume("data")], networks=[BLUE]))
    partial = make_inventory(volumes=[Volume("new")], unread={"container": "refused", "volume": "refused"})
    found = mapped(partial, published=list(whole.values()))
    assert {"container shop/web", "namespace shop", "volume data", "volume new"} <= found.keys()
    assert "network blue" not in found
    kinds = {each.kind for each in observe(partial, make_scope(), whole.values()).unread}
    assert kinds == {"container", "volume", "namespace"}


def test_only_the_unnamed_engine_among_several_has_a_name_of_its_own_as_a_part() -> None:
    """The empty name of a part means everything of the source."""
    assert [part_name(*each[:1], is_alone=each[1]) for each in (("", True), ("", False), ("far", False))] == [
        "", "(unnamed)", "far",
    ]  # fmt: skip


def test_a_container_that_gives_no_answer_is_unread_by_its_name_and_stays_as_published() -> None:
    web, db = make_container("web"), make_container("db", restart_count=3)
    listed = make_container("db", restart_count=None)
    reasons = {db.id: "hangs", f"sha256:{'0' * 64}": "hangs too"}
    inventory = structs.replace(make_inventory(web, listed), unknown=reasons, uninspected=frozenset({db.id}))
    published = mapped(make_inventory(web, db))
    facts = observe(inventory, make_scope(), published.values())
    assert {(each.kind, each.name, each.reason) for each in facts.unread} == {
        ("container", "db", "hangs"), ("image", "0" * 12, "hangs too"),
    }  # fmt: skip
    assert mapped(inventory, published=list(published.values()))["container db"] == published["container db"]
    assert mapped(inventory)["container db"].status == "running"  # never published: as the list has it


def test_an_entry_of_the_list_says_what_an_inspection_says() -> None:
    raw = """{
        "Id": "db-id", "Names": ["/web/db", "/shop-db-1"], "Image": "postgres:17", "ImageID": "sha256:00",
        "Created": 1795908500, "State": "exited", "Status": "Exited (137) 2 hours ago", "Command": "canary",
        "Ports": [
            {"IP": "0.0.0.0", "PrivatePort": 53, "PublicPort": 1053, "Type": "udp"},
            {"IP": "::", "PrivatePort": 53, "PublicPort": 1053, "Type": "udp"}, {"PrivatePort": 9, "Type": "tcp"}
        ],
        "Labels": {"com.docker.compose.project": "shop"}, "HostConfig": {"NetworkMode": "blue"},
        "NetworkSettings": {"Networks": {"blue": {"NetworkID": "n1", "IPAddress": "172.20.0.2"}}},
        "Mounts": [{"Type": "volume", "Name": "data", "Destination": "/data", "RW": true}]
    }"""
    found = msgspec.json.decode(raw, type=Listed).container
    assert (found.own_name, found.image, found.config.image, found.state.exit_code) == (
        "shop-db-1", "sha256:00", "postgres:17", 137,
    )  # fmt: skip
    assert found.network_settings.ports == {
        "53/udp": [PortBinding(ANYWHERE, "1053"), PortBinding("::", "1053")], "9/tcp": None,
    }  # fmt: skip
    entity = mapped(make_inventory(found, networks=[BLUE], volumes=[Volume("data")]))["container shop/shop-db-1"]
    assert {("network", "out", "network blue"), ("volume", "out", "volume data")} <= edges(entity)
    assert "kgents.docker.restart_count" not in entity.attributes
    for status, health in (("Up 3 minutes (unhealthy)", "unhealthy"), ("Up 1 second (health: starting)", "starting")):
        state = Listed("x", state="running", status=status).container.state
        assert (state.health and state.health.status) == health


def test_the_reference_of_an_image_is_taken_apart() -> None:
    config = Settings("registry:5000/shop/cart@sha256:00")
    attributes = mapped(make_inventory(make_container(config=config)))["container web"].attributes
    assert attributes["container.image.name"] == "registry:5000/shop/cart"
    assert "container.image.tags" not in attributes
