"""Settings from three sources: what wins, what is refused, and what a fault says."""

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import trustme

from kgents_cli.installed import service_names
from kgents_shared.bus.config import NatsConfig, Secret, TlsConfig
from kgents_shared.contract.errors import ConfigError
from kgents_shared.contract.section import Fault, Section
from kgents_shared.runtime import config as configuration
from kgents_shared.runtime.config import CommonConfig, effective, load, load_common

pytestmark = pytest.mark.unit


class Retry(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    attempts: int = 3
    pause_s: float = 1.0


class Own(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    poll_interval_s: float = 10.0
    servers: list[str] = []
    ports: list[int] = []
    labels: dict[str, str] = {}
    note: str | None = "none yet"
    enabled: bool = True
    retry: Retry = Retry(attempts=7)
    api_key: Secret | None = None

    def faults(self) -> Iterator[Fault]:
        if self.poll_interval_s <= 0:
            yield Fault("poll_interval_s", "more than 0", f"{self.poll_interval_s:g}", "try: 10")


class Demanding(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    account: str


NAME = "collector-nats"
SERVICES = (NAME, "health-scorer")


@pytest.fixture
def authority(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def read(
    yaml: str | None = None, *, file: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[CommonConfig, Own]:
    if file and yaml is not None:
        file.write_text(yaml)
    return load(NAME, Own, path=file, environ={"HOME": "/home/someone", **(environ or {})}, services=SERVICES)


def faults_of(
    yaml: str | None = None, *, file: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(yaml, file=file, environ=environ)
    return caught.value.faults


def fault_of(yaml: str | None = None, *, file: Path | None = None, environ: Mapping[str, str] | None = None) -> str:
    (fault,) = faults_of(yaml, file=file, environ=environ)
    return fault


class TestPrecedence:
    def test_without_sources_the_defaults_hold(self) -> None:
        common, section = read()
        assert common.nats == NatsConfig()
        assert section == Own()

    def test_the_file_overrides_a_default(self, file: Path) -> None:
        common, section = read("cluster: prod\ncollector-nats: {poll_interval_s: 2}", file=file)
        assert (common.cluster, section.poll_interval_s) == ("prod", 2.0)

    def test_the_environment_overrides_the_file(self, file: Path) -> None:
        common, section = read(
            "nats: {url: nats://file:1}\ncollector-nats: {poll_interval_s: 2}",
            file=file,
            environ={"KGENTS__NATS__URL": "nats://env:2", "KGENTS__COLLECTOR_NATS__POLL_INTERVAL_S": "3"},
        )
        assert (common.nats.url, section.poll_interval_s) == ("nats://env:2", 3.0)

    def test_a_variable_leaves_its_siblings_of_the_file_alone(self, file: Path, authority: str) -> None:
        common, _ = read(
            f"nats: {{tls: {{ca_file: {authority}}}}}",
            file=file,
            environ={"KGENTS__NATS__TLS__HANDSHAKE_FIRST": "true"},
        )
        assert common.nats.tls == TlsConfig(ca_file=authority, handshake_first=True)

    def test_a_partly_given_section_keeps_the_other_values_of_its_default(self, file: Path) -> None:
        _, section = read("collector-nats: {retry: {pause_s: 4}}", file=file)
        assert section.retry == Retry(attempts=7, pause_s=4.0)

    def test_an_empty_optional_section_is_present(self, file: Path) -> None:
        common, _ = read("nats: {tls: {}}", file=file)
        assert common.nats.tls == TlsConfig()

    def test_null_in_the_environment_removes_an_optional_section_of_the_file(self, file: Path) -> None:
        common, _ = read("nats: {tls: {ca_file: ca.pem}}", file=file, environ={"KGENTS__NATS__TLS": "null"})
        assert common.nats.tls is None

    def test_a_section_with_everything_commented_out_keeps_its_defaults(self, file: Path) -> None:
        common, section = read("nats:\n  # url: x\ncollector-nats:\n", file=file)
        assert (common.nats, section) == (NatsConfig(), Own())

    def test_a_secret_file_in_the_environment_overrides_a_literal_of_the_file(self, file: Path, tmp_path: Path) -> None:
        token = tmp_path / "token"
        token.write_text("from-file")
        common, _ = read("nats: {token: literal}", file=file, environ={"KGENTS__NATS__TOKEN_FILE": str(token)})
        assert common.nats.token == Secret(token)

    def test_the_standard_variable_gives_the_otlp_endpoint(self) -> None:
        common, _ = read(environ={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})
        assert common.telemetry.otlp_endpoint == "http://collector:4318"

    def test_the_file_overrides_the_standard_otlp_variable(self, file: Path) -> None:
        common, _ = read(
            "telemetry: {otlp_endpoint: null}", file=file, environ={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://other:4318"}
        )
        assert common.telemetry.otlp_endpoint is None


class TestPlaces:
    def test_an_empty_instance_becomes_the_host_name(self) -> None:
        assert read()[0].instance == socket.gethostname()

    def test_a_given_instance_stays(self) -> None:
        assert read(environ={"KGENTS__INSTANCE": "two"})[0].instance == "two"

    def test_state_goes_under_the_home_directory(self) -> None:
        assert read()[0].data_dir == "/home/someone/.local/state/kgents"

    def test_state_goes_under_the_xdg_directory_when_it_is_set(self) -> None:
        assert read(environ={"XDG_STATE_HOME": "/var/state"})[0].data_dir == "/var/state/kgents"

    def test_a_relative_xdg_directory_is_ignored(self) -> None:
        assert read(environ={"XDG_STATE_HOME": "state"})[0].data_dir == "/home/someone/.local/state/kgents"


class TestEnvironment:
    def test_a_list_is_given_with_commas(self) -> None:
        assert read(environ={"KGENTS__COLLECTOR_NATS__SERVERS": "a, b"})[1].servers == ["a", "b"]

    def test_a_list_is_given_as_json(self) -> None:
        assert read(environ={"KGENTS__COLLECTOR_NATS__SERVERS": '["a,b"]'})[1].servers == ["a,b"]

    def test_a_list_of_numbers_is_given_with_commas(self) -> None:
        assert read(environ={"KGENTS__COLLECTOR_NATS__PORTS": "1,2"})[1].ports == [1, 2]

    def test_a_mapping_is_given_as_json(self) -> None:
        assert read(environ={"KGENTS__COLLECTOR_NATS__LABELS": '{"a": "b"}'})[1].labels == {"a": "b"}

    def test_the_word_null_means_none_for_an_optional_field(self) -> None:
        assert read(environ={"KGENTS__COLLECTOR_NATS__NOTE": "null"})[1].note is None

    def test_an_empty_text_is_a_text(self) -> None:
        assert read(environ={"KGENTS__COLLECTOR_NATS__NOTE": ""})[1].note == ""

    def test_the_word_null_is_a_text_for_a_required_field(self) -> None:
        assert read(environ={"KGENTS__CLUSTER": "null"})[0].cluster == "null"

    def test_case_does_not_matter(self) -> None:
        assert read(environ={"kgents__collector_nats__Enabled": "false"})[1].enabled is False

    def test_the_links_of_kubernetes_services_are_ignored(self) -> None:
        assert read(environ={"KGENTS_NATS_PORT": "tcp://10.0.0.1:4222"})[0].nats == NatsConfig()

    def test_variables_of_other_services_are_skipped(self) -> None:
        assert read(environ={"KGENTS__HEALTH_SCORER__ANYTHING": "x"})[1] == Own()

    def test_an_unknown_variable_is_a_fault_with_a_suggestion(self) -> None:
        assert fault_of(environ={"KGENTS__NATS__ULR": "nats://x:1"}) == (
            "environment: KGENTS__NATS__ULR: expected a known variable, found an unknown variable; "
            "did you mean KGENTS__NATS__URL?"
        )

    def test_a_number_that_is_none_is_a_fault(self) -> None:
        assert fault_of(environ={"KGENTS__NATS__CONNECT_TIMEOUT_S": "abc"}) == (
            'environment: KGENTS__NATS__CONNECT_TIMEOUT_S: expected float, found str "abc"; try: 5.0, the default'
        )

    def test_malformed_json_is_a_fault(self) -> None:
        fault = fault_of(environ={"KGENTS__COLLECTOR_NATS__LABELS": '{"a"'})
        assert fault.startswith("environment: KGENTS__COLLECTOR_NATS__LABELS: expected a mapping as JSON, found ")

    def test_a_text_for_a_section_is_a_fault(self) -> None:
        assert fault_of(environ={"KGENTS__NATS": "nats://x:1"}).endswith("found a text; set KGENTS__NATS__… instead")

    def test_a_number_without_end_is_a_fault(self) -> None:
        assert fault_of(environ={"KGENTS__NATS__CONNECT_TIMEOUT_S": "inf"}).endswith(
            "expected a finite number, found inf; try: 5.0, the default"
        )


class TestFile:
    def test_sections_of_other_services_are_skipped(self, file: Path) -> None:
        assert read("health-scorer: {anything: 1}", file=file)[1] == Own()

    def test_an_unknown_key_is_a_fault_with_a_suggestion(self, file: Path) -> None:
        assert fault_of("nats: {ulr: nats://x:1}", file=file) == (
            f"{file}: nats.ulr: expected a known key, found an unknown key; did you mean nats.url?"
        )

    def test_an_unknown_key_like_no_other_lists_those_there_are(self, file: Path) -> None:
        fault = fault_of("log: {zzzzz: 1}", file=file)
        assert fault == f"{file}: log.zzzzz: expected a known key, found an unknown key; known: log.level, log.format"

    def test_a_misspelt_section_is_a_fault_with_a_suggestion(self, file: Path) -> None:
        assert fault_of("collector_nats: {}", file=file).endswith("found an unknown key; did you mean collector-nats?")

    def test_a_wrong_type_is_a_fault(self, file: Path) -> None:
        assert fault_of("nats: {connect_timeout_s: abc}", file=file) == (
            f'{file}: nats.connect_timeout_s: expected float, found str "abc"; try: 5.0, the default'
        )

    def test_a_number_in_quotes_is_a_fault(self, file: Path) -> None:
        assert fault_of('probes: {port: "8080"}', file=file) == (
            f'{file}: probes.port: expected int >= 0 <= 65535 or null, found str "8080"; correct or remove it'
        )

    def test_a_value_out_of_a_choice_names_the_choice(self, file: Path) -> None:
        assert fault_of("log: {level: loud}", file=file) == (
            f'{file}: log.level: expected one of debug, error, info, warning, found str "loud"; '
            'try: "info", the default'
        )

    def test_a_value_out_of_bounds_names_the_bounds(self, file: Path) -> None:
        assert fault_of("telemetry: {trace_sample_ratio: 2}", file=file) == (
            f"{file}: telemetry.trace_sample_ratio: expected float >= 0 <= 1, found int 2; try: 0.01, the default"
        )

    def test_a_wrong_item_of_a_list_is_named_by_its_place(self, file: Path) -> None:
        assert fault_of("collector-nats: {servers: [a, 5]}", file=file) == (
            f"{file}: collector-nats.servers[1]: expected str, found int 5; write it in quotes"
        )

    def test_a_key_given_twice_is_a_fault(self, file: Path) -> None:
        assert fault_of("nats:\n  url: nats://a:1\n  url: nats://b:2\n", file=file) == (
            f"{file}: expected each key once, found url twice at line 3, column 3; remove one of them"
        )

    def test_a_list_at_the_top_is_a_fault(self, file: Path) -> None:
        assert "expected a mapping at the top, found list" in fault_of("- 1", file=file)

    def test_a_value_in_place_of_a_section_is_a_fault(self, file: Path) -> None:
        assert fault_of("nats: nats://x:1", file=file) == (
            f"{file}: nats: expected a mapping, found str; see its settings in the reference of the configuration"
        )

    def test_a_tag_that_would_build_an_object_is_refused(self, file: Path) -> None:
        assert "could not determine a constructor" in fault_of("cluster: !!python/object/apply:os.getcwd []", file=file)

    def test_a_missing_file_is_a_fault(self, file: Path) -> None:
        fault = fault_of(file=file)
        assert fault == f"{file}: expected a readable file, found No such file or directory; check the path"

    def test_an_impossible_date_is_a_fault(self, file: Path) -> None:
        assert "month must be in 1..12" in fault_of("cluster: 2026-13-01", file=file)

    def test_bytes_that_are_no_text_are_a_fault(self, file: Path) -> None:
        file.write_bytes(b"cluster: \xff")
        assert "expected YAML" in fault_of(file=file)

    def test_an_empty_file_gives_the_defaults(self, file: Path) -> None:
        assert read("# nothing\n", file=file)[1] == Own()


class TestFaults:
    def test_all_faults_are_raised_together(self, file: Path) -> None:
        faults = faults_of(
            "nats: {ulr: x, connect_timeout_s: abc}\nlog: {level: loud}",
            file=file,
            environ={"KGENTS__PROBES__PORT": "high", "KGENTS__X": "1"},
        )
        assert len(faults) == 5

    def test_a_rule_over_several_fields_names_their_source_and_place(self, file: Path, authority: str) -> None:
        fault = fault_of(f"nats: {{tls: {{cert_file: {authority}}}}}", file=file)
        assert fault == (
            f"{file}: nats.tls.cert_file: expected cert_file and key_file together, found only cert_file; "
            "set key_file too"
        )

    def test_a_rule_broken_by_two_sources_names_both(self, file: Path) -> None:
        fault = fault_of("nats: {user: a, password: b}", file=file, environ={"KGENTS__NATS__TOKEN": "t"})
        assert fault.startswith(f"{file}, environment: nats.user: expected at most one way to authenticate")

    def test_a_rule_of_the_service_s_own_section_is_checked(self) -> None:
        assert fault_of(environ={"KGENTS__COLLECTOR_NATS__POLL_INTERVAL_S": "0"}) == (
            "environment: collector-nats.poll_interval_s: expected more than 0, found 0; try: 10"
        )

    def test_a_setting_without_default_must_be_given(self) -> None:
        with pytest.raises(ConfigError, match=r"demo\.account: expected str, found nothing .* KGENTS__DEMO__ACCOUNT"):
            load("demo", Demanding, path=None, environ={"HOME": "/"})


class TestSecretSettings:
    def test_a_literal_is_taken_as_it_is(self, file: Path) -> None:
        assert read("collector-nats: {api_key: abc}", file=file)[1].api_key == Secret("abc")

    def test_a_file_is_taken_by_its_path(self, file: Path, tmp_path: Path) -> None:
        key = tmp_path / "key"
        key.write_text("abc\n")
        _, section = read(f"collector-nats: {{api_key_file: {key}}}", file=file)
        assert section.api_key is not None
        assert section.api_key.reveal() == "abc"

    def test_literal_and_file_together_are_a_fault(self, file: Path) -> None:
        assert fault_of("collector-nats: {api_key: abc, api_key_file: /key}", file=file) == (
            f"{file}: collector-nats.api_key_file: expected this or collector-nats.api_key, found both; "
            "remove one of them"
        )

    def test_a_missing_secret_file_is_a_fault(self, tmp_path: Path) -> None:
        missing = tmp_path / "missing"
        assert fault_of(environ={"KGENTS__NATS__TOKEN_FILE": str(missing)}).startswith(
            f"environment: KGENTS__NATS__TOKEN_FILE: expected a readable file with a secret, found {missing}: No such"
        )

    def test_an_empty_secret_file_is_a_fault(self, tmp_path: Path) -> None:
        (tmp_path / "empty").write_text("\n")
        assert "a file without it" in fault_of(environ={"KGENTS__NATS__TOKEN_FILE": str(tmp_path / "empty")})

    def test_a_secret_that_yaml_reads_as_a_number_is_a_fault_without_its_value(self, file: Path) -> None:
        assert fault_of("nats: {token: 12345678}", file=file) == (
            f"{file}: nats.token: expected str, found int (value hidden); write it in quotes"
        )

    def test_a_syntax_error_next_to_a_secret_does_not_show_it(self, file: Path) -> None:
        fault = fault_of("nats:\n  token: *hunter2\n", file=file)
        assert "line 2, column 10" in fault
        assert "hunter2" not in fault

    def test_the_effective_settings_show_stars_for_a_secret(self) -> None:
        common, section = read(environ={"KGENTS__NATS__TOKEN": "hunter2"})
        shown = effective(common, {NAME: section})
        assert "hunter2" not in json.dumps(shown)
        assert shown["nats"]["token"] == "*" * 3

    def test_the_effective_settings_have_the_service_s_section(self) -> None:
        common, section = read(environ={"KGENTS__COLLECTOR_NATS__SERVERS": "a"})
        assert effective(common, {NAME: section})[NAME]["servers"] == ["a"]


def test_the_services_of_the_project_are_all_known() -> None:
    assert set(configuration.SERVICES) == set(service_names())


def test_a_section_of_a_service_that_is_not_installed_here_is_not_unknown(tmp_path: Path) -> None:
    file = tmp_path / "kgents.yaml"
    file.write_text("cluster: prod\nhealth-scorer: {calm_s: 60}\ncollector-db: {postgres: {main: {}}}\n")
    environ = {"HOME": "/", "KGENTS__COLLECTOR_K8S__KUBECONFIG": "x"}
    assert load_common(path=file, environ=environ, services=["collector-nats"]).cluster == "prod"
    file.write_text("collector-dbs: {}\n")
    with pytest.raises(ConfigError, match="did you mean collector-db"):
        load_common(path=file, environ=environ, services=["collector-nats"])
