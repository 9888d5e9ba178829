"""The file of tokens: what it says, what is refused, and what happens when it changes."""

from pathlib import Path

import pytest

from kgents_gateway.access.tokens import Tokens
from kgents_gateway.config import AuthConfig, Config
from kgents_shared.contract.section import InvalidSectionError
from kgents_shared.contract.tokens import MalformedTokensError, Token, digest_of, tokens_of

DIGEST = digest_of("kgents_secret")


@pytest.mark.parametrize(
    "token",
    [
        Token("a", DIGEST),
        Token("a.b@c-d", DIGEST, ("prod",), ("shop", "web-*", ""), ("read", "alert:write")),
        Token("writer", DIGEST, may=("alert:write",)),
    ],
)
def test_a_token_is_read_as_it_was_written(token: Token) -> None:
    assert tokens_of(f"# a comment\n\n  {token}  \n") == (token,)
    assert "secret" not in str(token)


@pytest.mark.parametrize(
    "line",
    [
        "kgents_secret",
        "a kgents_secret",
        f"a {DIGEST.upper()}",
        f"a {DIGEST[:-1]}",
        f"a {DIGEST}0",
        f"a {DIGEST} clusters=",
        f"a {DIGEST} namespaces=shop,",
        f"a {DIGEST} clusters",
        f"a {DIGEST} namespace=kgents_secret",
        f"a {DIGEST} may=kgents_secret",
        f"a {DIGEST} clusters=x clusters=y",
        f"a {DIGEST} kgents_secret",
        f"-a {DIGEST}",
        f"first {digest_of('another')}",
        f"another {digest_of('first')}",
    ],
)
def test_a_malformed_line_is_named_and_not_quoted(line: str) -> None:
    with pytest.raises(MalformedTokensError) as caught:
        tokens_of(f"first {digest_of('first')}\n\n{line}\n")
    assert str(caught.value).startswith("line 3: expected ")
    assert "kgents_secret" not in str(caught.value)


async def test_a_bad_file_leaves_the_tokens_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"a {DIGEST}\n")
    tokens = Tokens(str(file))
    identity = tokens.identity("kgents_secret")
    assert identity is not None
    for bad in (b"a kgents_secret\n", b"\xff\xfe", b"x" * 2_000_000, None):
        if bad is None:
            file.unlink()
        else:
            file.write_bytes(bad)
        await tokens.refresh()
        assert tokens.identity("kgents_secret") == identity
        assert tokens.has(identity, 0.0)
    file.write_text("# all withdrawn\n")
    await tokens.refresh()
    assert tokens.identity("kgents_secret") is None
    assert not tokens.has(identity, 0.0)


async def test_what_a_token_may_changes_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"a {DIGEST}\n")
    tokens = Tokens(str(file))
    before = tokens.identity("kgents_secret")
    file.write_text(f"a {DIGEST} namespaces=shop\n")
    await tokens.refresh()
    after = tokens.identity("kgents_secret")
    assert before is not None
    assert after is not None
    assert after.scope.namespaces == ("shop",)
    assert not tokens.has(before, 0.0)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "see.example", ""])  # noqa: S104
def test_another_address_than_loopback_needs_a_login(host: str) -> None:
    with pytest.raises(InvalidSectionError, match=r"host: expected a loopback address .* try: kgents token NAME"):
        Config(host=host)
    assert Config(host=host, auth=AuthConfig(tokens_file="tokens")).host == host


@pytest.mark.parametrize("content", [None, "", "# none\n", "a kgents_secret\n"])
def test_a_file_without_a_usable_token_is_a_fault_with_the_way_out(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    if content is not None:
        file.write_text(content)
    [fault] = AuthConfig(tokens_file=str(file)).check()
    assert fault.at == "tokens_file"
    assert f"kgents token NAME --file {file}" in fault.advice
    assert "kgents_secret" not in str(fault)
    file.write_text(f"a {DIGEST}\n")
    assert list(AuthConfig(tokens_file=str(file)).check()) == []
