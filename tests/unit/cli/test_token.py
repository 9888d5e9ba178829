"""`kgents token`: what it prints, and what it writes."""

from pathlib import Path

from click.testing import CliRunner

from kgents_cli.commands.token import command
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.tokens import Token, digest_of, tokens_of


def made(file: Path, *arguments: str) -> str:
    result = CliRunner().invoke(command, [*arguments, "--file", str(file)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_the_token_is_printed_and_its_digest_written(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    first = made(file, "grafana")
    second = made(file, "team", "--cluster", "prod", "--namespace", "shop", "--namespace", "", "--may", "alert:write")
    assert first.startswith("kgents_")
    assert len(first) > 40
    assert tokens_of(file.read_text()) == (
        Token("grafana", digest_of(first)),
        Token("team", digest_of(second), ("prod",), ("shop", ""), ("alert:write",)),
    )
    assert first not in file.read_text()
    assert file.stat().st_mode & 0o007 == 0
    assert [each.name for each in tmp_path.iterdir()] == ["tokens"]


def test_what_was_in_the_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    before = f"# of the team\nold {digest_of('old')}"
    file.write_text(before)
    file.chmod(0o600)
    made(file, "new")
    assert file.read_text().startswith(f"{before}\nnew sha256:")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_token_that_the_gateway_would_refuse_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    made(file, "a")
    before = file.read_bytes()
    for arguments in (["a"], ["with space"], ["b", "--cluster", ""], ["b", "--namespace", "x y"]):
        result = CliRunner().invoke(command, [*arguments, "--file", str(file)])
        assert isinstance(result.exception, KgentsError), arguments
        assert file.read_bytes() == before
    missing = CliRunner().invoke(command, ["a", "--file", str(tmp_path / "none" / "tokens")])
    assert isinstance(missing.exception, KgentsError)
