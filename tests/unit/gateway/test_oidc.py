"""What is accepted as an ID token, as a cookie and as a line of the file."""

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from kgents_gateway.access.identity import Session
from kgents_gateway.access.oidc.provider import ALGORITHMS, LEEWAY_S, LoginError, groups_of, verified
from kgents_gateway.access.oidc.seal import Pending, Seal
from kgents_gateway.config import AuthConfig, Config, OidcConfig
from kgents_shared.bus.config import Secret
from kgents_shared.contract.section import InvalidSectionError
from kgents_shared.contract.tokens import Group, MalformedTokensError, entries_of

NOW_S = 1_800_000_000
KEY = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
KEYS: dict[str, Any] = KeySet([KEY]).as_dict(private=False)  # type: ignore[assignment] # a TypedDict
CONFIG = OidcConfig(issuer="https://id.example", client_id="kgents", client_secret=Secret("secret"))
CLAIMS = {
    "iss": "https://id.example",
    "aud": "kgents",
    "sub": "ann",
    "nonce": "n",
    "iat": NOW_S,
    "exp": NOW_S + 300,
}


def signed(key: Any = KEY, alg: str = "RS256", **changed: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value is not None}
    return jwt.encode({"alg": alg, "kid": "one"}, claims, key, algorithms=[alg])


def accepted(token: str, now_s: int = NOW_S, algorithms: tuple[str, ...] = ("RS256",)) -> dict[str, Any]:
    return verified(token, KEYS, CONFIG, list(algorithms), "n", now_s)


@pytest.mark.parametrize(
    "changed",
    [{}, {"aud": ["kgents", "other"], "azp": "kgents"}, {"iat": NOW_S + LEEWAY_S}, {"exp": NOW_S - LEEWAY_S + 1}],
)
def test_an_id_token_for_this_login_is_accepted_also_if_the_clocks_differ_a_little(changed: dict[str, Any]) -> None:
    assert accepted(signed(**changed))["sub"] == "ann"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://other.example"},
        {"aud": "other"},
        {"aud": ["kgents", "other"], "azp": "other"},
        {"nonce": "m"},
        {"exp": NOW_S - LEEWAY_S},
        {"iat": NOW_S + LEEWAY_S + 1},
        {"nbf": NOW_S + LEEWAY_S + 1},
        {"sub": 7},
        *({name: None} for name in CLAIMS),
    ],
)
def test_an_id_token_for_anything_else_is_not(changed: dict[str, Any]) -> None:
    with pytest.raises(LoginError):
        accepted(signed(**changed))


def test_only_what_the_provider_signed_with_a_key_of_its_own_is_accepted() -> None:
    public = OctKey.import_key(KEYS["keys"][0]["n"])
    other = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
    for token in (signed(other), signed(public, "HS256"), signed()[:-4] + "AAAA", "", "a.b.c", "é"):
        with pytest.raises(LoginError):
            accepted(token, algorithms=("RS256", "HS256"))
    unsigned = f"eyJhbGciOiJub25lIn0.{signed().split('.')[1]}."
    with pytest.raises(LoginError):
        accepted(unsigned)
    with pytest.raises(LoginError):
        verified(signed(), KEYS, CONFIG, ["ES256"], "n", NOW_S)
    assert not {"none", "HS256"} & ALGORITHMS


def test_keys_that_are_of_no_use_hinder_none() -> None:
    strange = [{"kty": "unknown"}, {"kty": "oct", "k": "AAAA"}, {**ECKey.generate_key("P-256").as_dict(), "use": "enc"}]
    keys = {"keys": [*strange, *KEYS["keys"]]}
    assert verified(signed(), keys, CONFIG, ["RS256"], "n", NOW_S)["sub"] == "ann"


def test_groups_are_a_list_or_one_name() -> None:
    assert groups_of(["a", 7, "", None, "b"]) == ("a", "b")
    assert groups_of("a") == ("a",)
    assert groups_of(None) == groups_of({"a": 1}) == ()


def test_a_cookie_is_opened_with_the_same_secret_and_as_what_it_is() -> None:
    session, pending = Session("ann", ("a",), NOW_S), Pending("s", "n", "v", NOW_S)
    text = Seal("one").sealed(session)
    assert Seal("one").opened(text, Session) == session
    assert Seal("two").opened(text, Session) is None
    assert Seal("one").opened(text, Pending) is None
    assert Seal("one").opened(Seal("one").sealed(pending), Pending) == pending
    assert Seal("one").opened(text[:-3] + "AAA", Session) is None


def test_a_group_is_a_line_of_the_file() -> None:
    group = Group("/teams/shop team", ("prod",), ("shop", ""))
    assert str(group) == "group:/teams/shop%20team clusters=prod namespaces=shop,_"
    assert entries_of(f"# people\n{group}\ngroup:sre may=read,alert:write\n").groups[0] == group
    for text in ("group:", "group:a namespaces=", "group:a sha256:00", "group:a\ngroup:a namespaces=b"):
        with pytest.raises(MalformedTokensError):
            entries_of(text)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"issuer": "http://id.example"}, "https"),
        ({"issuer": "id.example"}, "https"),
        ({"scopes": ["profile"]}, "openid"),
    ],
)
def test_a_provider_is_asked_over_tls_for_an_id_token(settings: dict[str, Any], named: str) -> None:
    given: dict[str, Any] = {"issuer": "https://id.example", "client_id": "a", "client_secret": Secret("b"), **settings}
    with pytest.raises(InvalidSectionError, match=named):
        OidcConfig(**given)


def test_a_provider_needs_the_groups_and_the_address_of_the_gateway() -> None:
    with pytest.raises(InvalidSectionError, match="names the groups of people"):
        AuthConfig(oidc=CONFIG)
    for url in ("", "http://see.example"):
        with pytest.raises(InvalidSectionError, match="public_url"):
            Config(public_url=url, auth=AuthConfig(tokens_file="tokens", oidc=CONFIG))
