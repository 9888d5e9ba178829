"""An IPv6 peer resolves, in the spelling of each collector: who claims the address, and who names it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from kgents_collector_db.mapping import pgbouncer, qdrant, redis
from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.mapping.pgbouncer.sample import Fronted, PgbouncerSample
from kgents_collector_db.mapping.qdrant.sample import QdrantSample, Raft
from kgents_collector_db.mapping.redis.info import Info
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_collector_db.source.redis_answer import nodes
from kgents_collector_db.targets.redis import RedisTarget
from kgents_collector_docker.answers import Endpoint, Network, NetworkSettings
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_topology_builder.graph import Graph
from support import docker_answers, k8s_objects, nats_samples
from support.build import connect_to, make_entity

AT = datetime(2026, 1, 1, tzinfo=UTC)
SPELLINGS = ["[fd00::7]:9999", "[FD00:0:0::7]:9999", "[fd00::0007]:09999"]
CLAIMS = ["fd00::7", "[fd00::7]", "FD00:0::7", "[fd00::7]:9999", "[FD00::7]:9999"]


def resolved(claims: Entity, names: Connection) -> Ref | None:
    """The peer of a connection, whichever of the two came first."""
    graph = Graph()
    client = Entity(ref=Ref(claims.ref.cluster, "pod", "client"), source="k8s", connections=[names])
    graph.put(client)
    waiting = [ref for name in graph.put(claims) or () for ref in graph.waiting(name)]
    assert client.ref in waiting, "a client that waits for a name is updated when it appears"
    return graph.resolve(names, client.ref)


@pytest.mark.parametrize("peer", SPELLINGS)
@pytest.mark.parametrize("claim", CLAIMS)
def test_an_ipv6_peer_resolves_however_both_sides_write_it(claim: str, peer: str) -> None:
    entity = make_entity("pg", addresses=[claim])
    assert resolved(entity, connect_to(peer)) == entity.ref


@pytest.mark.parametrize("peer", ["PG.shop.svc:5432", "pg.shop.svc.", "Pg.Shop.Svc"])
def test_a_name_resolves_whatever_its_case_and_with_a_dot(peer: str) -> None:
    entity = make_entity("pg", aliases=["pg.shop.svc"])
    assert resolved(entity, connect_to(peer)) == entity.ref


def test_a_name_in_two_spellings_is_free_when_both_are_gone() -> None:
    graph, connection = Graph(), connect_to("[fd00::7]:1")
    client = make_entity("client", connections=[connection])
    graph.put(client)
    entity = make_entity("pg", addresses=["fd00::7", "[FD00::7]"])
    graph.put(entity)
    graph.put(make_entity("pg", addresses=["fd00::7"]))
    assert graph.resolve(connection, client.ref) == entity.ref
    graph.put(make_entity("pg", addresses=["fd00::8"]))
    assert graph.resolve(connection, client.ref) is None


def claimants() -> Iterator[Entity]:
    """What claims `fd00::7`, by itself or with port 9999, of each collector."""
    pod = k8s_objects.load("pod")
    pod["status"].update(podIP="FD00::0007", podIPs=[{"ip": "FD00::0007"}])
    yield k8s_objects.mapped(pod).entities[0]
    service = k8s_objects.load("service")
    service["spec"].update(clusterIP="fd00:0::7", clusterIPs=["fd00:0::7"])
    yield k8s_objects.mapped(service).entities[0]
    settings = NetworkSettings({"blue": Endpoint("n1", global_ipv6_address="fd00:0::7")}, {"9999/tcp": None})
    inventory = docker_answers.make_inventory(
        docker_answers.make_container(network_settings=settings), networks=[Network("n1", "blue", driver="bridge")]
    )
    yield docker_answers.mapped(inventory)["container web"]
    raw = nats_samples.single()
    raw["varz"].update(host="FD00::7", port=9999)
    yield nats_samples.named(nats_samples.mapped(nats_samples.sample(raw)), "nats_server", "test")
    yield observed_redis(RedisTarget(host="FD00:0::7", port=9999).address, role="master")


def peers() -> Iterator[Connection]:
    """What names port 9999 of `fd00::7`, of each collector."""
    external = k8s_objects.load("service_external_name")
    external["spec"]["externalName"] = "FD00::7"
    yield k8s_objects.mapped(external).entities[0].connections[0]
    runs_on, master = observed_redis(
        RedisTarget(host="FD00:0::7", port=9999).address, role="slave", master_host="FD00::7", master_port="9999"
    ).connections
    yield runs_on
    yield master
    watched = {"redis_mode": "sentinel", "master0": "name=shop,status=ok,address=fd00::7:9999"}
    yield observed_redis("[fd00::1]:1", **watched).connections[1]
    yield Connection("network", nodes(b"id FD00::7:9999@19999 master - 0 0 1 connected 0-1\n")[0].address)
    database = Fronted("shop", "FD00::7", 9999)
    scope = Scope("c1", "pool", "", 10.0, AT, {})
    yield (
        pgbouncer.observe(None, PgbouncerSample(at=AT, at_s=0.0, address="[::1]:1", databases=(database,)), scope)
        .entities[0]
        .connections[0]
    )
    raft = Raft(
        peer=1,
        peers={1: "http://[::1]:1", 2: "http://[FD00::7]:9999/"},
        leader=1,
        role="Leader",
        term=1,
        commit=1,
        pending=0,
        is_voter=True,
        consensus="working",
        unreachable=0,
    )
    sample = QdrantSample(at=AT, address="[::1]:1", raft=raft)
    yield next(each for each in qdrant.observe(None, sample, scope).entities[0].connections if each.kind == "network")


def observed_redis(address: str, **fields: str) -> Entity:
    info = Info({"redis_version": "7.0.15", "redis_mode": "standalone", "run_id": "r1", **fields})
    sample = RedisSample(at=AT, address=address, info=info, info_at_s=0.0, own_commands=0)
    return redis.observe(None, sample, Scope("c1", "cache", "", 10.0, AT, {})).entities[0]


@pytest.mark.parametrize("claims", list(claimants()), ids=lambda entity: str(entity.ref))
def test_what_each_collector_claims_is_found(claims: Entity) -> None:
    assert resolved(claims, connect_to("[fd00::7]:9999")) == claims.ref


@pytest.mark.parametrize("names", list(peers()), ids=lambda connection: connection.evidence or "CLUSTER NODES")
def test_what_each_collector_names_is_found(names: Connection) -> None:
    entity = make_entity("pg", addresses=["fd00::7"])
    assert resolved(entity, names) == entity.ref
