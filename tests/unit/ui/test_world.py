"""Messages → items: however they come, what is held is what would be read now."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from kgents_cli.ui.item import item_of
from kgents_cli.ui.world import World
from kgents_shared.contract.codec import encode
from kgents_shared.view.fold import Fold, Row
from kgents_shared.view.selection import select
from support.build import make_ref
from support.state import make_alert, make_health, make_topology, subject_of

REFS = [make_ref(name) for name in ("cart", "hostile\x1b[2J[/b]", "x" * 300)]
MESSAGES = st.one_of(
    st.builds(
        lambda ref, stale, reason: make_topology(ref=ref, stale=stale, reason=reason),
        st.sampled_from(REFS),
        st.sampled_from([[], ["k8s"]]),
        st.sampled_from(["", "CrashLoopBackOff"]),
    ),
    st.builds(
        lambda ref, level: make_health(ref=ref, level=level),
        st.sampled_from(REFS),
        st.sampled_from(["healthy", "warning", "critical"]),
    ),
    st.builds(
        lambda ref, state: make_alert(ref=ref, state=state),
        st.sampled_from(REFS),
        st.sampled_from(["firing", "resolved"]),
    ),
)


@given(st.lists(st.tuples(MESSAGES, st.booleans()), max_size=30))
def test_an_item_of_which_only_what_differs_was_decoded_is_the_item(messages: Sequence[tuple[object, bool]]) -> None:
    fold, world = Fold(select()), World()
    for message, is_removed in messages:
        payload = None if is_removed else encode(message)  # type: ignore[arg-type]
        row = Row(subject_of(message), payload)  # type: ignore[arg-type]
        changes, _ = fold.take(row.subject.split(".")[1], [row])
        world.take(changes)
    assert world.items == {view.key: item_of(view) for view in fold.entities()}
    assert +world.levels == Counter(item.level for item in world.items.values())
