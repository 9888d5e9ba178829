from pathlib import Path

import pytest

from kgents_cli.discovery import Finding, look, useful

CANARY = "canary-7c1"


def found(name: str, environ: dict[str, str], *installed: str) -> Finding:
    return next(finding for finding in look(environ, installed) if finding.name == name)


def test_a_kubeconfig_gives_its_path_and_context_and_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(f"current-context: prod-eu\nusers: [{{name: me, user: {{token: {CANARY}}}}}]\n")
    finding = found("Kubernetes", {"KUBECONFIG": f"{tmp_path}/missing:{path}"})
    assert finding.text == f"found: {path} (context prod-eu); collector-k8s is not installed in this version"


@pytest.mark.parametrize(
    ("content", "told"),
    [("", "no current context"), ("[1]", "no current context"), (f"a: [{CANARY}", "it cannot be read")],
)
def test_a_kubeconfig_that_is_none_is_told_without_its_content(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    assert found("Kubernetes", {"KUBECONFIG": str(path)}).where == f"{path} ({told})"


def test_the_default_kubeconfig_is_in_the_home_directory(tmp_path: Path) -> None:
    assert found("Kubernetes", {"HOME": str(tmp_path)}).text == "not found: needs ~/.kube/config, or KUBECONFIG"
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text("current-context: lab\n")
    assert "context lab" in found("Kubernetes", {"HOME": str(tmp_path)}).where


def test_a_docker_host_is_shown_without_its_user() -> None:
    finding = found("Docker", {"DOCKER_HOST": f"ssh://{CANARY}@build-1"}, "collector-docker")
    assert finding.text == "found: DOCKER_HOST at build-1; collector-docker is installed"


def test_a_collector_is_useful_where_it_finds_something_or_is_told_of_it(tmp_path: Path) -> None:
    environ, installed = {"HOME": str(tmp_path)}, ["collector-k8s", "collector-nats", "topology-builder"]
    assert useful(environ, installed, ()) == ["collector-nats", "topology-builder"]
    assert useful(environ, installed, {"collector-k8s"}) == installed
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").touch()
    assert useful(environ, installed, ()) == installed
