"""What concerns very many entities at once is dealt with in parts."""

from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.reducer import LOST_AT_ONCE, Scorer
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health
from kgents_shared.contract.topology import TopologyEntity
from support.health_inputs import at

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
