"""What concerns very many entities at once is dealt with in parts."""

from collections.abc import Iterable

from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.reducer import LOST_AT_ONCE, Scorer
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread
from support.health_inputs import POD, at, pulse, source

REFS = [Ref("c", "pod", f"web-{number}", "shop") for number in range(2 * LOST_AT_ONCE + 1)]


def test_very_many_that_are_lost_go_in_parts() -> None:
    scorer = Scorer(CATALOGUE)
    for ref in REFS:
        scorer.on_topology(TopologyEntity(text="", ref=ref), ref, now=at(1), evidence="KGENTS_TOPOLOGY:1")
        scorer.lose(ref)
    gone_by_part = []
    for now_s in (10, 70):  # they are found to be lost, and stay a minute
        while scorer.tick(at(now_s)):
            gone_by_part.append(gone(scorer))
    assert gone_by_part == [0, 0, LOST_AT_ONCE, LOST_AT_ONCE]
    assert gone(scorer) == 1


def gone(scorer: Scorer) -> int:
    found = 0
    while scorer.is_dirty:
        found += sum(isinstance(each, Health) and each.op == "remove" and each.ref in REFS for each in scorer.take())
    return found


def test_what_is_touched_comes_before_what_only_time_concerns() -> None:
    scorer = Scorer(CATALOGUE)
    for ref in REFS[2:]:
        scorer.on_topology(TopologyEntity(text="", ref=ref, status="pending"), ref, now=at(1), evidence="T:1")
    assert [*scorer.take()]
    scorer.tick(at(400))  # all of them have been pending for too long
    touch(scorer, REFS[0], now_s=401)
    messages = scorer.take()
    assert next(messages).ref == REFS[0]
    assert {next(messages).ref for _ in range(20)} <= {*REFS[2:]}
    touch(scorer, REFS[1], now_s=402)
    assert REFS[1] in {next(messages).ref for _ in range(3)}, "not after what is being judged, Health and Alert"
    assert {each.ref for each in everything(scorer, messages)} >= {*REFS[20:]}, "and the others are judged, too"


def test_what_is_touched_is_judged_as_of_what_a_walk_has_still_to_ask_it() -> None:
    """Its source attests it again: it has as long for its next sample as after any other."""
    scorer = Scorer(CATALOGUE)
    touch(scorer, POD, now_s=1)
    scorer.on_pulse(pulse(2, memory=0.1), now=at(2), evidence="P:1")
    attest(scorer, Unread(since=at(20)), now_s=20)
    everything(scorer)
    attest(scorer, now_s=500)
    touch(scorer, POD, now_s=499)
    first = next(each for each in scorer.take() if each.ref == POD)
    assert isinstance(first, Health)
    assert first.level == "healthy"


def attest(scorer: Scorer, *unread: Unread, now_s: float) -> None:
    message = source(*unread, at_s=now_s)
    scorer.on_topology(message, message.ref, now=at(now_s), evidence=f"T:{now_s}")


def touch(scorer: Scorer, ref: Ref, *, now_s: float) -> None:
    running = TopologyEntity(text="", ref=ref, status="running", sources=["k8s"])
    scorer.on_topology(running, ref, now=at(now_s), evidence=f"T:{now_s}")


def everything(scorer: Scorer, first: Iterable[Health | Alert] = ()) -> list[Health | Alert]:
    """All that is due."""
    found = [*first]
    while scorer.is_dirty:
        found += scorer.take()
    return found
