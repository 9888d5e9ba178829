"""One run shows every fault: of all values, all rules and all sections, also what only this machine shows."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme

from kgents_cli.installed import load_service, service_names
from kgents_collector_docker.config import Config as DockerConfig
from kgents_collector_k8s.config import Config as KubernetesConfig
from kgents_collector_nats.config import Config as NatsServersConfig
from kgents_shared.bus.config import NatsConfig, TlsConfig
from kgents_shared.bus.files import TlsFiles
from kgents_shared.contract.errors import ConfigError
from kgents_shared.contract.section import InvalidSectionError, Section, unusable_url
from kgents_shared.runtime.config import load, load_all
from kgents_shared.runtime.layers import unknown_variables

pytestmark = pytest.mark.unit

SECTIONS: dict[str, type[Section]] = {name: load_service(name).config for name in service_names()}


def faults_of(tmp_path: Path, text: str = "", variables: Mapping[str, str] | None = None) -> list[str]:
    """The faults of a file and variables for all services, without the file's own name."""
    path = tmp_path / "kgents.yaml"
    path.write_text(text)
    try:
        load_all(SECTIONS, path=path, environ={"HOME": "/", **(variables or {})}, services=list(SECTIONS))
    except ConfigError as error:
        return [fault.removeprefix(f"{path}: ") for fault in error.faults]
    return []


def test_all_rules_of_all_sections_are_reported_together(tmp_path: Path) -> None:
    faults = faults_of(
        tmp_path,
        """
        cluster: ""
        nats: {url: "localhost", user: me, connect_timeout_s: 0, tls: {key_file: /etc/hostname}}
        telemetry: {otlp_endpoint: "localhost:4317"}
        probes: {host: ""}
        collector-k8s:
          label_selector: "team in a"
          namespaces: [Shop, back, back]
          resources: [pod]
          custom: [{group: "", version: v1, resource: x, api_kind: X, attributes: {a: metadata.name}}]
        collector-docker:
          engines: [{name: a, url: "tcp://h"}, {name: a, tls: {}}]
          labels: ["a*b"]
        collector-db:
          postgres: {"or ders": {host: "", tls_ca_file: /etc/hostname}}
          qdrant: {x: {url: "http://h:99999"}}
        health-scorer: {disabled_checks: [KG101], profiles: [x], thresholds: {KG-101: {warn: 0.9, crit: 0.8}}}
        topology-builder: {source_priority: [kubernetes, nope, docker, docker]}
        collector-nats: {monitor_urls: [localhost, "http://u:p@h"]}
        """,
    )
    places = [fault.partition(": ")[0] for fault in faults]
    assert sorted(places) == sorted(
        [
            *("cluster", "nats.url", "nats.user", "nats.connect_timeout_s", "nats.tls.key_file"),
            *("telemetry.otlp_endpoint", "probes.host"),
            *("collector-k8s.label_selector", "collector-k8s.namespaces[0]", "collector-k8s.namespaces[2]"),
            *("collector-k8s.resources[0]", "collector-k8s.custom[0].group", "collector-k8s.custom[0].attributes.a"),
            *("collector-docker.engines[0].url", "collector-docker.engines[1].name", "collector-docker.engines[1].tls"),
            "collector-docker.labels[0]",
            *("collector-db.postgres.or ders", "collector-db.postgres.or ders.host"),
            *("collector-db.postgres.or ders.tls_ca_file", "collector-db.postgres.or ders.tls_ca_file"),
            "collector-db.qdrant.x.url",
            *("health-scorer.disabled_checks[0]", "health-scorer.profiles[0]", "health-scorer.thresholds.KG-101"),
            *("topology-builder.source_priority[0]", "topology-builder.source_priority[1]"),
            "topology-builder.source_priority[3]",
            *("collector-nats.monitor_urls[0]", "collector-nats.monitor_urls[1]"),
        ]
    )
    assert all(": expected " in fault and ", found " in fault and "; " in fault for fault in faults)


def test_a_rule_says_nothing_about_a_value_that_is_not_of_its_type(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "nats: {user: 5, password: secret}")
    assert fault.startswith("nats.user: expected str")


def test_a_value_that_must_be_given_hides_no_other_fault(tmp_path: Path) -> None:
    rule = "{group: x.io, resource: x, attributes: {a: metadata.name}}"
    faults = faults_of(tmp_path, f"collector-k8s: {{custom: [{rule}]}}")
    assert [fault.partition(": ")[0] for fault in faults] == [
        "collector-k8s.custom[0].version",
        "collector-k8s.custom[0].api_kind",
        "collector-k8s.custom[0].attributes.a",
    ]


def test_a_misspelt_section_is_reported_once_for_all_services(tmp_path: Path) -> None:
    assert faults_of(tmp_path, "collector-natz: {}\nhealthscorer: {}") == [
        "collector-natz: expected a known key, found an unknown key; did you mean collector-nats?",
        "healthscorer: expected a known key, found an unknown key; did you mean health-scorer?",
    ]


def test_every_service_names_the_same_section_for_a_misspelt_one(tmp_path: Path) -> None:
    path = tmp_path / "kgents.yaml"
    path.write_text("collector-natz: {}")
    for name, section in SECTIONS.items():
        with pytest.raises(ConfigError, match=r"did you mean collector-nats\?"):
            load(name, section, path=path, environ={"HOME": "/"}, services=list(SECTIONS))


def test_keys_that_stand_twice_are_all_reported_beside_other_faults(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, "cluster: a\ncluster: b\nnats: {url: x, url: y}\n")
    assert [fault.partition(";")[0] for fault in faults] == [
        "expected each key once, found cluster twice at line 2, column 1",
        "expected each key once, found url twice at line 3, column 16",
        'nats.url: expected a url of nats:// or tls:// or ws:// or wss:// with a host, found "y"',
    ]


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("KGENTS_NATS_URL", "KGENTS__NATS__URL"),
        ("KGENTS_NATS__URL", "KGENTS__NATS__URL"),
        ("kgents_nats_ulr", "KGENTS__NATS__URL"),
        ("KGENTS_COLLECTOR_K8S_LABEL_SELECTOR", "KGENTS__COLLECTOR_K8S__LABEL_SELECTOR"),
        ("KGENTS__NATS__ULR", "KGENTS__NATS__URL"),
        ("KGENTS__COLLECTOR_DB__POSTGRES__ORDERS__HOTS", "KGENTS__COLLECTOR_DB__POSTGRES__<NAME>__HOST"),
    ],
)
def test_a_variable_that_would_do_nothing_is_named(tmp_path: Path, variable: str, meant: str) -> None:
    assert faults_of(tmp_path, variables={variable: "x"}) == [
        f"environment: {variable}: expected a known variable, found an unknown variable; did you mean {meant}?"
    ]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KGENTS_NATS_PORT", "tcp://10.0.0.1:4222"),
        ("KGENTS_NATS_SERVICE_HOST", "10.0.0.1"),
        ("KGENTS_PROBES_SERVICE_PORT_HTTP", "80"),
        ("KGENTS_PROBES_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("KGENTS_CONFIG", "kgents.yaml"),
        ("KGENTS_THEME", "dark"),
    ],
)
def test_a_variable_of_kubernetes_or_of_another_program_is_left_alone(
    tmp_path: Path, variable: str, value: str
) -> None:
    assert faults_of(tmp_path, variables={variable: value}) == []


def test_variables_that_begin_like_ours_are_known_by_name() -> None:
    environ = {"KGENTS_THEME": "dark", "KGENTS__CLUSTER": "a", "KGENTS_CONFIG": "x", "KGENTS_NATS_PORT": "tcp://h:1"}
    assert unknown_variables({**environ, "HOME": "/", "kgents_zz": ""}) == ["KGENTS_THEME", "kgents_zz"]


def test_another_layout_is_answered_with_the_command_that_reads_it(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "collectors: {kubernetes: {enabled: true}}\nhealth: {}\nnats: {urll: x}")
    found = "the sections collectors, health of another layout"
    path = tmp_path / "kgents.yaml"
    assert fault == f"expected sections of kgents, found {found}; try: kgents config import {path}"


class TestFiles:
    def test_files_that_are_missing_or_empty_are_all_reported(self, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        faults = faults_of(
            tmp_path,
            f"""
            nats: {{credentials_file: {tmp_path}/no.creds, tls: {{ca_file: {tmp_path}/empty}}}}
            data_dir: {tmp_path}/empty/x
            collector-k8s: {{kubeconfig: {tmp_path}/no.kubeconfig}}
            collector-docker: {{engines: [{{url: "tcp://h:1", tls: {{ca_file: {tmp_path}/no.pem}}}}]}}
            collector-db:
              redis: {{a: {{tls: verify-full, tls_ca_file: {tmp_path}/no.pem, password_file: {tmp_path}/no}}}}
            """,
        )
        assert [fault.partition(": ")[0] for fault in faults] == [
            "nats.tls.ca_file",
            "nats.credentials_file",
            "data_dir",
            "collector-db.redis.a.password_file",
            "collector-db.redis.a.tls_ca_file",
            "collector-docker.engines[0].tls.ca_file",
            "collector-k8s.kubeconfig",
        ]

    def test_a_file_without_permission_to_read_is_reported(self, tmp_path: Path) -> None:
        (fault,) = NatsConfig(credentials_file=str(tmp_path)).check()  # root may read any file, but no directory
        assert (fault.at, fault.found) == ("credentials_file", f"{tmp_path}: Is a directory")

    def test_a_certificate_and_the_key_of_another_are_reported(self, tmp_path: Path) -> None:
        authority = trustme.CA()
        for name in ("a", "b"):
            issued = authority.issue_cert(name)
            issued.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.pem"))
            issued.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        ours = TlsFiles(cert_file=str(tmp_path / "a.pem"), key_file=str(tmp_path / "a.key"))
        assert list(ours.check()) == []
        (fault,) = TlsConfig(cert_file=str(tmp_path / "a.pem"), key_file=str(tmp_path / "b.key")).check()
        assert "key values mismatch" in fault.found

    def test_a_file_of_authorities_without_any_is_reported(self, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("hunter2")
        (fault,) = TlsConfig(ca_file=str(tmp_path / "ca.pem")).check()
        assert fault.at == "ca_file"
        assert "hunter2" not in str(fault)

    @pytest.mark.parametrize(
        ("content", "context", "fault"),
        [
            ("current-context: a\ncontexts: [{name: a}, {name: b}]", "b", ""),
            ("current-context: a\ncontexts: [{name: a}, {name: b}]", "", ""),
            ("contexts: [{name: a}]", "c", 'context: expected one of a, found "c"'),
            ("contexts: [{name: a}]", "", "context: expected one of a, found none"),
            ("[", "", "kubeconfig: expected a kubeconfig, found "),
        ],
    )
    def test_a_context_that_the_kubeconfig_lacks_is_reported(
        self, tmp_path: Path, content: str, context: str, fault: str
    ) -> None:
        (tmp_path / "kubeconfig").write_text(content)
        faults = list(KubernetesConfig(kubeconfig=str(tmp_path / "kubeconfig"), context=context).check())
        assert len(faults) == (1 if fault else 0)
        assert not faults or str(faults[0]).startswith(fault)

    def test_a_context_that_docker_does_not_know_is_reported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        (fault,) = faults_of(tmp_path, "collector-docker: {engines: [{context: remote}]}")
        assert fault.startswith(
            'collector-docker.engines[0].context: expected a context of the docker command, found "'
        )


class TestUrls:
    @pytest.mark.parametrize(
        "url",
        ["", "h", "http://", "http://:80", "http://h:x", "http://h:99999", "http://[::1", "ftp://h"],
    )
    def test_a_url_without_a_host_or_with_an_impossible_port_is_refused(self, url: str) -> None:
        assert [fault.at for fault in unusable_url("url", url, ("http",), "http://h")] == ["url"]

    @pytest.mark.parametrize("url", ["http://h", "http://h:80/path", "http://[::1]:80", "http://10.0.0.1"])
    def test_a_sound_url_is_none(self, url: str) -> None:
        assert list(unusable_url("url", url, ("http",), "http://h")) == []


class TestSelectors:
    @pytest.mark.parametrize(
        "selector",
        ["", "a", "!a", "a=b", "a==b", "a!=b", "a in (b,c)", "a notin (b)", "a=b,!c, x.io/d in (e, f)", "a>5", "a="],
    )
    def test_what_kubectl_takes_is_taken(self, selector: str) -> None:
        assert KubernetesConfig(label_selector=selector).label_selector == selector

    @pytest.mark.parametrize(
        "selector", ["a in b", "a in (b", "a=b,", ",", "a=b c", "=b", "a in ()x", "-a=b", "a=b)", "a=>b", "a/b/c=d"]
    )
    def test_what_kubectl_refuses_is_refused(self, selector: str) -> None:
        with pytest.raises(InvalidSectionError, match="label_selector: expected a label selector"):
            KubernetesConfig(label_selector=selector)


def test_a_section_that_breaks_its_rules_cannot_be_made_in_code_either() -> None:
    with pytest.raises(InvalidSectionError, match="monitor_urls or system"):
        NatsServersConfig(monitor_urls=[])
    with pytest.raises(InvalidSectionError, match="at least one engine"):
        DockerConfig(engines=[])
