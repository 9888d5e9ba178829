"""What every command does alike: exit codes, errors that lead on, configuration from flags, file and environment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kgents_cli.app import COMMANDS
from support.kgents_command import Kgents, run_kgents
from support.nats_server import NatsServer
from support.waiting import MACHINE

NO_SERVER = "nats://127.0.0.1:9"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGENTS__NATS__CONNECT_TIMEOUT_S", f"{MACHINE.limit_s(0.5):.1f}")


@pytest.mark.parametrize(
    "command", ["topology", "health", "watch", "provision", "get all", "describe pod x", "top", "alerts", "events"]
)
async def test_without_a_server_the_error_names_the_next_command(command: str, impatient: None) -> None:
    code, out, err = await run_kgents(*command.split(), "--nats", NO_SERVER)
    assert (code, out) == (1, "")
    assert err.startswith(f"kgents: no NATS server at {NO_SERVER}")
    assert "`kgents up`" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", [["topology"], ["config", "check"], ["doctor"]])
async def test_every_fault_of_a_configuration_is_reported(command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "kgents.yaml"
    file.write_text("nats: {urll: nats://a:1}\nlog: {level: loud}\n")
    code, out, err = await run_kgents(*command, "--config", str(file))
    assert (code, out) == (78, "")
    assert "nats.urll: expected a known key, found an unknown key; did you mean nats.url?" in err
    assert "log.level: expected one of debug, error, info, warning" in err
    assert "Traceback" not in err


async def test_flags_win_over_the_environment(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGENTS__NATS__URL", NO_SERVER)
    code, _, _ = await run_kgents("provision", "--nats", server.url)
    assert code == 0


async def test_the_environment_names_the_server_too(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGENTS__NATS__URL", server.url)
    code, out, _ = await run_kgents("provision", "--dry-run")
    assert code == 0
    assert out.startswith("create KGENTS_ENTITY")


async def test_provision_says_what_it_does_and_then_has_nothing_to_do(kgents: Kgents) -> None:
    _, planned, _ = await kgents("provision", "--dry-run", "-o", "json")
    assert [json.loads(line)["action"] for line in planned.splitlines()] == ["create"] * 12
    code, done, _ = await kgents("provision")
    assert code == 0
    assert [line.split()[0] for line in done.splitlines()] == ["create"] * 12
    _, again, _ = await kgents("provision", "-o", "json")
    assert {json.loads(line)["action"] for line in again.splitlines()} == {"unchanged"}


async def test_an_unknown_command_says_what_was_meant() -> None:
    code, _, err = await run_kgents("topolgy")
    assert code == 2
    assert "did you mean topology?" in err


async def test_an_unknown_service_says_what_was_meant() -> None:
    code, _, err = await run_kgents("run", "topolgy-builder")
    assert code == 1
    assert "did you mean topology-builder? See `kgents services`" in err


async def test_services_are_listed_without_importing_them() -> None:
    code, out, _ = await run_kgents("services", "-o", "json")
    assert code == 0
    assert "topology-builder" in {service["service"] for service in json.loads(out)}


async def test_config_check_prints_what_is_in_use_and_hides_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KGENTS__NATS__TOKEN", "canary-7c1")
    file = tmp_path / "kgents.yaml"
    file.write_text("cluster: prod\ntopology-builder: {clusters: [prod]}\n")
    code, out, err = await run_kgents("config", "check", "topology-builder", "-o", "json", "--config", str(file))
    assert code == 0
    settings = json.loads(out)
    assert (settings["cluster"], settings["topology-builder"]["clusters"]) == ("prod", ["prod"])
    assert set(settings["nats"]["token"]) == {"*"}
    assert "canary" not in out + err


async def test_config_check_lists_the_faults_of_all_services_once(tmp_path: Path) -> None:
    file = tmp_path / "kgents.yaml"
    file.write_text("cluster: 7\ntopology-builder: {clusterz: []}\nhealth-scorer: {clusterz: []}\n")
    code, _, err = await run_kgents("config", "check", "topology-builder", "health-scorer", "--config", str(file))
    assert code == 78
    assert err.count("cluster: expected str") == 1
    assert "topology-builder.clusterz" in err
    assert "health-scorer.clusterz" in err


async def test_config_check_names_a_secret_that_a_service_would_start_without(tmp_path: Path) -> None:
    file, missing = tmp_path / "kgents.yaml", tmp_path / "missing"
    file.write_text(f"alert-notifier: {{receivers: {{tool: {{webhook: {{url_file: {missing}}}}}}}}}\n")
    code, _, err = await run_kgents("config", "check", "alert-notifier", "--config", str(file))
    assert code == 78
    assert (
        f"alert-notifier.receivers.tool.webhook.url_file: expected a readable file with a secret, found {missing}"
        in err
    )


async def test_doctor_finds_missing_streams_and_the_command_that_makes_them(kgents: Kgents) -> None:
    code, out, _ = await kgents("doctor")
    assert code == 1
    assert "✔ NATS answers" in out
    assert "✘ none of the 12 streams of kgents exists yet; next: `kgents provision`" in out.splitlines()
    assert max(map(len, out.splitlines())) < 200


async def test_doctor_names_services_that_do_not_run(kgents: Kgents) -> None:
    await kgents("provision")
    code, out, _ = await kgents("doctor", "-o", "json")
    verdicts = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert "kgents run topology-builder" in {verdict["next_step"] for verdict in verdicts}
    assert any(verdict["text"].startswith("Docker: ") for verdict in verdicts)


async def test_doctor_without_a_server_still_checks_this_machine(impatient: None) -> None:
    code, out, _ = await run_kgents("doctor", "--nats", NO_SERVER)
    assert code == 1
    assert out.startswith("✘ no NATS server")
    assert "· Docker" in out or "· Kubernetes" in out


async def test_doctor_on_a_server_without_jetstream(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "plain", jetstream=False) as server:
        code, out, _ = await run_kgents("doctor", "--nats", server.url)
    assert code == 1
    assert "✘ expected JetStream" in out


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from kgents_cli.app import kgents\n"
        "kgents.main(['--help'], standalone_mode=False)\n"
        "heavy = {'nats', 'aiohttp', 'msgspec', 'rich', 'yaml', 'opentelemetry', 'asyncio'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=MACHINE.limit_s(20))


@pytest.mark.parametrize("command", [*(name for name in COMMANDS if name != "config"), "config check"])
async def test_every_help_has_an_example(command: str) -> None:
    code, out, _ = await run_kgents(*command.split(), "--help")
    assert code == 0
    assert f"kgents {command}" in out.partition("Example")[2]


async def test_the_list_of_commands_says_what_each_does() -> None:

    code, out, _ = await run_kgents("--help")
    assert code == 0
    for name, line in COMMANDS.items():
        assert f"{name} " in out
        assert line in out
