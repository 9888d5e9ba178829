from kgents_cli.commands.health import summary
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health
from support.build import NOW


def scored(*refs: Ref, level: str = "healthy", score: float = 1.0) -> dict[str, Health]:
    return {ref.subject("health"): Health(text="", ref=ref, level=level, score=score) for ref in refs}


def test_the_worst_come_first_and_a_level_new_to_us_last() -> None:
    rows = [
        *scored(Ref("p", "pod", "a"), level="unknown", score=0.5).values(),
        *scored(Ref("p", "pod", "b"), level="purple", score=0.1).values(),
        *scored(Ref("p", "pod", "c"), level="critical", score=0.3).values(),
        *scored(Ref("p", "pod", "d"), level="critical", score=0.1).values(),
        *scored(Ref("p", "pod", "e"), level="warning", score=0.6).values(),
        *scored(Ref("p", "pod", "f")).values(),
    ]
    assert [line.split()[-1] for line in summary(rows, NOW) if line] == ["d", "c", "e", "a", "b"]


def test_all_is_well() -> None:
    assert list(summary(scored(Ref("p", "pod", "a")).values(), NOW)) == ["1/1 entities are healthy"]
