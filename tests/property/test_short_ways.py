"""What is read in a short way, since there is so much of it, reads as it does in the plain one."""

from contextlib import suppress

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from kgents_shared.bus import publish, pull
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.publish import Outcome, Refused, Stored

BEGINS = "$JS.ACK.KGENTS_ENTITY.follow-1a2b.1."
"""How the replies of one consumer begin."""

numbers = st.integers(0, 2**64).map(str) | st.sampled_from(("007", "", "x", "-1", "1e5"))
beginnings = st.sampled_from(
    (BEGINS, "$JS.ACK.KGENTS_ENTITY.follow-1a2b.2.", "$JS.ACK.hub.ACC.KGENTS_ENTITY.follow-1a2b.1.", "$JS.ACK.", "")
)


@given(begins=beginnings, tokens=st.lists(numbers, min_size=3, max_size=6))
@example(begins=BEGINS, tokens=["7", "3", "1796000000000000000", "0"])
@example(begins="$JS.ACK.hub.ACC.KGENTS_ENTITY.follow-1a2b.1.", tokens=["7", "3", "1796000000000000000", "0", "x"])
def test_the_position_of_a_delivery_is_what_its_reply_subject_says(begins: str, tokens: list[str]) -> None:
    reply = begins + ".".join(tokens)
    found = expected = None
    with suppress(ValueError):
        expected = pull._position(reply)
    with suppress(ValueError):
        found = pull._delivery("s", reply, b"x", {"a": "b"}, BEGINS)
    assert found == (Delivery("s", b"x", {"a": "b"}, *expected) if expected is not None else None)
    if begins == BEGINS and len(tokens) == 4 and all(each.isdigit() and str(int(each)) == each for each in tokens):
        assert expected == tuple(map(int, tokens))


acks = st.fixed_dictionaries(
    {},
    optional={
        "stream": st.sampled_from(("KGENTS_ENTITY", "error", "ü", 'a"b')),
        "domain": st.sampled_from(("hub", "error")),
        "seq": st.integers(0, 2**63) | st.sampled_from(("1", None, 1.5)),
        "duplicate": st.booleans() | st.none(),
        "error": st.none() | st.fixed_dictionaries({"code": st.integers(400, 503)}, optional={"err_code": numbers}),
    },
)


@given(ack=acks.map(msgspec.json.encode) | st.binary(max_size=8))
@example(ack=b'{"stream":"KGENTS_ENTITY", "seq":17}')
@example(ack=b'{"seq":17,"duplicate": true}')
@example(ack=b'{"\\u0065rror":{"code":503},"seq":0}')
def test_an_ack_means_what_all_of_it_says(ack: bytes) -> None:
    def judged(by: str) -> Outcome:
        found: Outcome = getattr(publish, by)(ack)
        return found

    found = judged("_outcome")
    assert found == judged("_judged")
    assert type(found) in (Stored, Refused)
    if ack == b'{"stream":"KGENTS_ENTITY", "seq":17}':
        assert found == Stored(17)
