"""How an engine is discovered, and the error when it cannot be."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from kgents_collector_docker.config import EngineConfig, TlsConfig
from kgents_collector_docker.source.connect import address, connect, host
from kgents_collector_docker.source.fault import EngineError

UseContext = Callable[[str], None]


@pytest.fixture(autouse=True)
def use_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UseContext:
    """Make a context of this address the current one, in a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)

    def use(url: str) -> None:
        meta = tmp_path / ".docker" / "contexts" / "meta" / hashlib.sha256(b"prod").hexdigest()
        meta.mkdir(parents=True)
        (meta / "meta.json").write_text(json.dumps({"Name": "prod", "Endpoints": {"docker": {"Host": url}}}))
        (tmp_path / ".docker" / "config.json").write_text(json.dumps({"currentContext": "prod"}))

    return use


async def found(engine: EngineConfig) -> tuple[str, str]:
    """Address and host."""
    docker = connect(engine)
    try:
        return address(docker), host(docker)
    finally:
        await docker.session.close()


async def refused(engine: EngineConfig) -> str:
    with pytest.raises(EngineError) as error:
        connect(engine)
    return str(error.value)


async def test_the_environment_is_before_the_current_context_as_for_the_docker_command(
    use_context: UseContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_context("tcp://prod.example:2375")
    assert await found(EngineConfig()) == ("tcp://prod.example:2375", "prod.example")
    monkeypatch.setenv("DOCKER_HOST", "tcp://me:pw@other.example:2375")
    assert await found(EngineConfig()) == ("tcp://other.example:2375", "other.example")
    assert await found(EngineConfig(context="prod")) == ("tcp://prod.example:2375", "prod.example")
    monkeypatch.setenv("DOCKER_HOST", "")
    assert await found(EngineConfig()) == ("tcp://prod.example:2375", "prod.example")


async def test_the_default_context_is_none_of_the_others(
    use_context: UseContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_context("tcp://prod.example:2375")
    where, _ = await found(EngineConfig(context="default"))
    assert where.startswith("unix:///")  # also where there is no socket
    monkeypatch.setenv("DOCKER_HOST", "tcp://other.example:2375")
    assert await found(EngineConfig(context="default")) == ("tcp://other.example:2375", "other.example")


async def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "")
    where, name = await found(EngineConfig())
    assert (where.startswith("unix:///"), name) == (True, "")


async def test_an_engine_behind_ssh_is_refused_with_what_to_do(
    use_context: UseContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_context("ssh://me@prod.example")
    for engine in (EngineConfig(), EngineConfig(context="prod")):
        error = await refused(engine)
        assert "it is behind ssh, which is not spoken here; forward its socket (ssh -N -L" in error
    monkeypatch.setenv("DOCKER_HOST", "ssh://me:pw@prod.example")
    error = await refused(EngineConfig())
    assert "it is behind ssh" in error
    assert "pw" not in error


@pytest.mark.parametrize("given", ["npipe:////./pipe/docker_engine", "fd://", "me:pw@prod.example:2375"])
async def test_an_address_that_cannot_be_used_is_one_clear_sentence(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", given)
    assert await refused(EngineConfig()) == (
        "DOCKER_HOST: expected an address of unix://, tcp://, http://, https://, found another; correct it"
    )


@pytest.mark.parametrize("given", ["[]", "{", '{"currentContext": 1}'])
async def test_a_file_of_the_docker_command_that_cannot_be_read_is_one_clear_sentence(
    given: str, use_context: UseContext, tmp_path: Path
) -> None:
    use_context("tcp://prod.example:2375")
    (tmp_path / ".docker" / "config.json").write_text(given)
    error = await refused(EngineConfig())
    assert error.startswith("cannot prepare the connection to the engine of this machine: ")
    assert error.endswith("and `docker context ls`")


async def test_certificates_that_cannot_be_used_are_one_clear_sentence_and_never_a_question(tmp_path: Path) -> None:
    authority = trustme.CA()
    ours, other = authority.issue_cert("ours"), authority.issue_cert("other")
    cert, key, foreign, locked, junk = (str(tmp_path / f"{name}.pem") for name in ("c", "k", "f", "l", "j"))
    ours.cert_chain_pems[0].write_to_path(cert)
    ours.private_key_pem.write_to_path(key)
    other.private_key_pem.write_to_path(foreign)
    secret = load_pem_private_key(ours.private_key_pem.bytes(), None)
    with_passphrase = secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw"))
    Path(locked).write_bytes(with_passphrase)
    Path(junk).write_text("junk")

    async def error(**files: str) -> str:
        return await refused(EngineConfig(url="tcp://b:2376", tls=TlsConfig(**files)))

    assert "key values mismatch; check the files of `tls`" in await error(cert_file=cert, key_file=foreign)
    assert "a key with a passphrase; check the files of `tls`" in await error(cert_file=cert, key_file=locked)
    assert "no certificate or crl found; check" in await error(ca_file=junk)
    assert "No such file or directory; check" in await error(ca_file=str(tmp_path / "none.pem"))
    tls = TlsConfig(cert_file=cert, key_file=key)
    assert await found(EngineConfig(url="tcp://b:2376", tls=tls)) == ("https://b:2376", "b")
