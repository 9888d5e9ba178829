from kgents_cli.columns import Row, columns_of, health
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.figures import figures
from kgents_shared.contract.health import Health
from kgents_shared.contract.pulse import DatabasePulse, Pool, ResourcePulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary.kinds import KINDS
from kgents_shared.view.entity import EntityView, Rows, key_of_ref
from support.build import NOW

POD = Ref("prod", "pod", "cart", "shop")


def view(ref: Ref = POD, scored: Health | None = None, **fields: object) -> EntityView:
    topology = TopologyEntity(text="", ref=ref, status="running", **fields)  # type: ignore[arg-type]
    return EntityView(key_of_ref(ref), Rows(encode(topology), encode(scored) if scored is not None else None))


def cells(row: Row, *, wide: bool = False) -> dict[str, str]:
    return {column.heading: column.read(row) for column in columns_of(row.view.ref.kind, wide=wide)}


def container(name: str, status: str, role: str) -> EntityView:
    ref = Ref("prod", "container", f"cart/{name}", "shop")
    topology = TopologyEntity(text="", ref=ref, status=status, attributes={"kgents.k8s.container.type": role})
    return EntityView(key_of_ref(ref), Rows(encode(topology)))


def test_ready_counts_what_should_run_and_not_what_runs_once() -> None:
    containers = (
        container("main", "failed", "app"),
        container("proxy", "running", "sidecar"),
        container("setup", "succeeded", "init"),
        container("debug", "running", "ephemeral"),
    )
    assert cells(Row(view(), NOW, containers=containers))["READY"] == "1/2"


def test_every_kind_has_a_status_and_what_is_not_known_is_a_dash() -> None:
    for kind in (*KINDS, "of-your-own"):
        found = cells(Row(view(Ref("prod", kind, "x")), NOW), wide=True)
        assert found.pop("STATUS") == "running"
        assert set(found.values()) <= {"-", "0/-", "-/-"}, kind


def test_wide_only_adds_columns() -> None:
    for kind in KINDS:
        narrow = [each.heading for each in columns_of(kind, wide=False)]
        wide = [each.heading for each in columns_of(kind, wide=True)]
        assert [heading for heading in wide if heading in narrow] == narrow
        assert len(wide) == len(set(wide))


def test_the_reason_stands_for_the_status_as_in_kubectl() -> None:
    assert cells(Row(view(reason="CrashLoopBackOff"), NOW))["STATUS"] == "CrashLoopBackOff"


def test_health_without_a_score_shows_the_level_alone() -> None:
    assert health(Row(view(), NOW)) == "-"
    assert health(Row(view(scored=Health("", POD, level="unknown")), NOW)) == "unknown"
    assert health(Row(view(scored=Health("", POD, level="warning", score=0.66)), NOW)) == "warning 0.66"


def test_figures_of_a_section_carry_its_name_and_what_does_not_apply_is_left_out() -> None:
    pulse = DatabasePulse(
        ref=POD,
        source="db",
        backend="postgres",
        timestamp=NOW,
        interval_s=10.0,
        phase="healthy",
        pool=Pool(active=3),
        custom={"postgres_locks": 2.0, "lost": None},
    )
    assert figures(pulse) == {"pool.active": 3, "postgres_locks": 2.0, "lost": None}
    idle = ResourcePulse(ref=POD, source="k8s", timestamp=NOW, interval_s=5.0, cpu_percent=0.0)
    assert figures(idle) == {"cpu_percent": 0.0}
    assert figures(None) == {}
