"""The laws of addresses: one form for each, and no form for two."""

import string
from ipaddress import IPv4Address, IPv6Address

from hypothesis import assume, example, given
from hypothesis import strategies as st

from kgents_shared.contract.address import Address, candidates, join, normalised, of_url, split, split_port

PORTS = st.integers(1, 65535)
LABELS = st.text(alphabet=f"{string.ascii_lowercase}{string.digits}_-", min_size=1, max_size=6)
ZONES = st.text(alphabet=string.ascii_letters + string.digits, min_size=1, max_size=5)


@st.composite
def spelled_hosts(draw: st.DrawFn) -> tuple[str, str]:
    """A host in normal form, and one of the ways in which people and programs write it, without brackets."""
    kind = draw(st.sampled_from(["name", "v4", "v6", "zone"]))
    if kind == "name":
        name = ".".join(draw(st.lists(LABELS, min_size=1, max_size=4)))
        return name, draw(st.sampled_from([name, name.upper(), name.capitalize(), f"{name}."]))
    if kind == "v4":
        v4 = draw(st.ip_addresses(v=4))
        assert isinstance(v4, IPv4Address)
        mapped = f"::ffff:{v4}"
        return str(v4), draw(st.sampled_from([str(v4), mapped, mapped.upper(), IPv6Address(mapped).exploded]))
    v6 = draw(st.ip_addresses(v=6))
    assert isinstance(v6, IPv6Address)
    assume(v6.ipv4_mapped is None)
    zone = f"%{draw(ZONES)}" if kind == "zone" else ""
    return f"{v6}{zone}", draw(st.sampled_from([str(v6), str(v6).upper(), v6.exploded])) + zone


@st.composite
def spelled(draw: st.DrawFn) -> tuple[Address, str]:
    """An address, and one of the ways to write it."""
    host, text = draw(spelled_hosts())
    port = draw(st.none() | PORTS)
    if ":" in text and (port is not None or draw(st.booleans())):
        text = f"[{text}]"
    return Address(host, port), text if port is None else f"{text}:{draw(st.sampled_from([str(port), f'{port:05}']))}"


@given(given=spelled())
def test_what_is_joined_is_split_again(given: tuple[Address, str]) -> None:
    address, _ = given
    assert split(join(*address)) == address


@given(given=spelled())
def test_every_spelling_has_the_same_form(given: tuple[Address, str]) -> None:
    address, text = given
    assert split(text) == address
    assert normalised(text) == join(*address)


@given(one=spelled(), other=spelled())
@example(one=(Address("fd00::7:9999"), ""), other=(Address("fd00::7", 9999), ""))
@example(one=(Address("fe80::1%a"), ""), other=(Address("fe80::1%A"), ""))
def test_two_addresses_never_share_a_form(one: tuple[Address, str], other: tuple[Address, str]) -> None:
    assert (join(*one[0]) == join(*other[0])) == (one[0] == other[0])


@given(text=st.text(alphabet="aB1:.[]%/@ _-é\n", max_size=12) | st.text() | spelled().map(lambda given: given[1]))
@example(text="[[::1]]:1")
@example(text="a..")
@example(text="::ffff:1.2.3.4%a")
def test_any_text_has_one_form_for_good(text: str) -> None:
    form = normalised(text)
    assert normalised(form) == form
    assert split(form) == split(text)
    assert candidates(text)[0] == form


@given(given=spelled_hosts(), port=PORTS)
def test_a_port_at_the_end_needs_no_brackets(given: tuple[str, str], port: int) -> None:
    host, text = given
    assert split_port(f"{text}:{port}") == (host, port)


@given(given=spelled(), default=st.none() | PORTS)
def test_a_url_has_the_address_that_stands_in_it(given: tuple[Address, str], default: int | None) -> None:
    (host, port), _ = given
    authority = f"[{host.replace('%', '%25')}]" if ":" in host else host
    url = f"http://user:word@{authority}{'' if port is None else f':{port}'}/path"
    expected = port or default
    assert (of_url(url, default).port, of_url(url, default).host.lower()) == (expected, host.lower())
