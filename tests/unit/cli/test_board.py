"""The picture of `kgents up`: what it shows first, whatever the size of the terminal, and nothing that moves it."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from kgents_cli.board import HEIGHT_MIN, WIDTH_MIN, Head, Part, Shown, columns, cut, picture
from kgents_cli.sentence import Line
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Aggregate, Health, Root
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.view.entity import EntityView, Rows, key_of_ref

HEAD = Head("kgents up", ("web http://127.0.0.1:7780/", "nats://127.0.0.1:4222", "Ctrl-C ends it"))


def view(name: str, level: str = "healthy", score: float = 1.0, *, kind: str = "pod", cluster: str = "c") -> EntityView:
    ref = Ref(cluster, kind, name, "shop")
    topology = TopologyEntity(text="", ref=ref, status="running")
    health = Health(text=f"{name} is {level}", ref=ref, level=level, score=score)
    return EntityView(key_of_ref(ref), Rows(encode(topology), encode(health)))


def change(number: int) -> tuple[str, Line]:
    return "10:00:00", Line(datetime(2026, 1, 1, tzinfo=UTC), "warning", f"change {number}")


def text(lines: list[Shown]) -> list[str]:
    return ["".join(part.text for part in line) for line in lines]


def test_the_worst_comes_first_and_the_newest_change_last() -> None:
    views = [view("fine"), view("slow", "warning", 0.6), view("dead", "critical", 0.0), view("odd", "unknown", 0.5)]
    lines = text(picture(HEAD, views, [change(1), change(2)], 100, 24))
    assert lines[0] == "kgents up · web http://127.0.0.1:7780/ · nats://127.0.0.1:4222 · Ctrl-C ends it"
    assert lines[1] == "4 entities  ✖ 1 critical  ▲ 1 warning  ? 1 unknown  ● 1 healthy"
    order = [name for line in lines[2:] for name in ("dead", "slow", "odd", "fine") if name in line]
    assert order == ["dead", "slow", "odd"], "what is healthy is counted, not listed"
    assert lines[-1].endswith("change 2")


def test_a_demo_says_so_in_every_picture() -> None:
    head = Head("kgents up", HEAD.facts, "DEMO: a recording, not your systems")
    for width, height in ((200, 60), (80, 24), (24, 6), (1, 1)):
        first = text(picture(head, [view("dead", "critical", 0.0)], [change(1)], width, height))[:3]
        assert any(line.startswith("DEMO: a recording, n"[: max(width, WIDTH_MIN) - 1]) for line in first)


def test_the_web_address_is_there_on_a_narrow_terminal_too() -> None:
    lines = text(picture(HEAD, [view("fine")], [], 40, 10))
    assert "web http://127.0.0.1:7780/" in "\n".join(lines)


def test_the_most_probable_origin_is_said_once_it_explains_something() -> None:
    def cluster(explained: int) -> EntityView:
        ref, database = Ref("c", "cluster", "c"), Ref("c", "database", "orders", "shop")
        root = Root(database, "database shop/orders probably explains app shop/cart.", explained=explained)
        aggregate = Aggregate("critical", {}, roots=[root])
        health = Health(text="c is critical", ref=ref, level="critical", score=0.0, aggregate=aggregate)
        return EntityView(key_of_ref(ref), Rows(None, encode(health)))

    line = "probable origin: database shop/orders probably explains app shop/cart."
    assert line in text(picture(HEAD, [view("cart", "critical", 0.0), cluster(1)], [], 100, 20))
    assert line not in text(picture(HEAD, [view("cart", "critical", 0.0), cluster(0)], [], 100, 20))
    assert text(picture(HEAD, [view("cart"), cluster(1)], [], 100, 20))[1].startswith("1 entity"), "it is no entity"


def test_what_does_not_fit_is_counted() -> None:
    views = [view(f"pod-{number:02d}", "critical", 0.0) for number in range(30)]
    lines = text(picture(HEAD, views, [change(number) for number in range(30)], 100, 20))
    assert len(lines) == 20
    shown = sum("pod-" in line for line in lines)
    assert f"  and {30 - shown} more: kgents health" in lines
    assert any("change 29" in line for line in lines), "changes keep their part"


def test_two_clusters_are_told_apart() -> None:
    views = [view("cart", "critical", 0.0, cluster=name) for name in ("eu", "us")]
    lines = text(picture(HEAD, views, [], 100, 20))
    assert "✖ pod shop/cart (eu)" in "\n".join(lines)
    assert "✖ pod shop/cart (us)" in "\n".join(lines)


def test_a_name_cannot_move_the_cursor() -> None:
    lines = text(picture(HEAD, [view("a\x1b[2Jb\n", "critical", 0.0)], [], 100, 20))
    assert all(line.isprintable() for line in lines)


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)


@given(
    st.lists(st.tuples(NAMES, st.sampled_from(["critical", "warning", "unknown", "healthy"])), max_size=12),
    st.integers(0, 12),
    st.integers(0, 130),
    st.integers(0, 40),
)
def test_no_picture_is_larger_than_the_terminal(
    names: list[tuple[str, str]], changes: int, width: int, height: int
) -> None:
    views = [view(name, level, 0.5) for name, level in names]
    lines = picture(HEAD, views, [change(number) for number in range(changes)], width, height)
    assert len(lines) <= max(height, HEIGHT_MIN)
    assert all(sum(columns(part.text) for part in line) <= max(width, WIDTH_MIN) for line in lines)
    if len(views) > 1:
        assert any(f"{len(views)} entities"[: max(width, WIDTH_MIN) - 1] in line for line in text(lines))


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=40), st.integers(1, 50))
def test_a_cut_keeps_the_beginning(line: str, width: int) -> None:
    found = "".join(part.text for part in cut([Part(line)], width))
    assert columns(found) <= width
    assert line.startswith(found.removesuffix("…")) or line == found
    assert found == line or found.endswith("…")
