"""What KGENTS_META says about instances: who is alive, who holds what, what an earlier version writes."""

from kgents_shared.contract.meta import Heartbeat, Lease, Meta, Share
from kgents_shared.runtime.sharing import Member, Roster, instance_of
from support.build import NOW


def beat(
    instance: str = "a",
    *,
    state: str = "in_sync",
    home: str | None = "prod",
    clusters: tuple[str, ...] = (),
    wants: tuple[str, ...] = (),
    publishes: tuple[str, ...] = (),
) -> Heartbeat:
    share = Share(home=home, clusters=list(clusters), wants=list(wants)) if home is not None else None
    return Heartbeat(
        text="", service="topology-builder", instance=instance, version="0", started_at=NOW, state=state,
        share=share, publishes=list(publishes),
    )  # fmt: skip


def lease(holder: str) -> Lease:
    return Lease(text="", holder=holder, acquired_at=NOW)


class Stream:
    """Feeds a roster as a view of KGENTS_META does."""

    def __init__(self) -> None:
        self.roster = Roster()
        self._rows: dict[str, Meta] = {}

    def put(self, cluster: str, message: Heartbeat | Lease) -> bool:
        instance = message.instance if isinstance(message, Heartbeat) else "lease"
        return self._set(f"kgents.meta.{cluster}.topology-builder.{instance}", message)

    def expire(self, cluster: str, instance: str = "lease") -> bool:
        return self._set(f"kgents.meta.{cluster}.topology-builder.{instance}", None)

    def _set(self, subject: str, new: Meta | None) -> bool:
        old = self._rows.pop(subject, None)
        if new is not None:
            self._rows[subject] = new
        return self.roster.note(subject, old, new)


def test_an_instance_is_announced_under_its_own_cluster_alone() -> None:
    stream = Stream()
    assert stream.put("prod", beat(clusters=("prod", "x"), wants=("x",)))
    assert stream.put("x", beat())
    assert stream.roster.members() == {"a": Member(frozenset(("prod", "x")), frozenset(("prod",)), frozenset(("x",)))}
    assert not stream.put("prod", beat(clusters=("prod", "x"), wants=("x",))), "a heartbeat like the last is no news"


def test_one_that_stops_or_falls_silent_is_no_member() -> None:
    stream = Stream()
    for instance in ("a", "b"):
        stream.put("prod", beat(instance))
    assert stream.put("prod", beat("a", state="stopped"))
    assert stream.expire("prod", "b")
    assert stream.roster.members() == {}


def test_an_instance_whose_lease_runs_out_counts_as_dead_until_its_next_heartbeat() -> None:
    stream = Stream()
    stream.put("prod", beat("a"))
    stream.put("x", lease("a/1f"))
    assert stream.roster.held == {"x": "a"}
    assert stream.expire("x")
    assert stream.roster.held == {}
    assert stream.roster.members() == {}
    assert stream.put("prod", beat("a"))
    assert stream.roster.members().keys() == {"a"}


def test_a_lease_that_is_released_and_drops_out_says_nothing_against_its_holder() -> None:
    stream = Stream()
    stream.put("prod", beat("a"))
    stream.put("x", lease("a/1f"))
    assert stream.put("x", lease(""))
    assert not stream.expire("x")
    assert stream.roster.members().keys() == {"a"}


def test_a_renewal_is_no_news() -> None:
    stream = Stream()
    assert stream.put("x", lease("a/1f"))
    assert not stream.put("x", lease("a/1f"))
    assert stream.put("x", lease("b/1f"))


def test_two_processes_under_one_name_are_one_member_that_may_hold_what_either_may() -> None:
    stream = Stream()
    stream.put("prod", beat(home="prod", clusters=("prod",)))
    stream.put("dev", beat(home="dev", clusters=("dev",)))
    assert stream.roster.members() == {"a": Member(frozenset(("prod", "dev")), frozenset(("prod", "dev")))}
    stream.put("dev", beat(home="dev"))
    assert stream.roster.members()["a"].may_hold("any")


def test_what_an_earlier_version_writes_is_taken_while_it_is_at_work() -> None:
    stream = Stream()
    every, one = "kgents.topology.*.*.*.*", "kgents.topology.x.*.*.*"
    assert stream.put("prod", beat("old", home=None, publishes=(every,)))
    assert stream.roster.is_taken("any")
    assert stream.roster.members() == {}
    stream.put("prod", beat("old", home=None, publishes=(one,)))
    assert stream.roster.is_taken("x")
    assert not stream.roster.is_taken("y")
    stream.put("prod", beat("old", home=None, publishes=(one,), state="standby"))
    assert not stream.roster.is_taken("x")
    stream.put("prod", beat("new", publishes=(one,)))
    assert not stream.roster.is_taken("x")


def test_a_holder_is_an_instance_and_a_process() -> None:
    assert instance_of("pod/7/1f2e") == "pod/7"
    assert instance_of("of an earlier version") == "of an earlier version"
