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
    assert useful({"KUBECONFIG": str(path)}, ["collector-k8s", "topology-builder"], ()) == ["topology-builder"]


def test_the_default_kubeconfig_is_in_the_home_directory(tmp_path: Path) -> None:
    assert found("Kubernetes", {"HOME": str(tmp_path)}).text == (
        "not found: needs ~/.kube/config, or KUBECONFIG, with a current context"
    )
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text("current-context: lab\n")
    assert "context lab" in found("Kubernetes", {"HOME": str(tmp_path)}).where


def test_a_docker_host_is_shown_without_its_user(tmp_path: Path) -> None:
    environ = {"DOCKER_HOST": f"ssh://{CANARY}@build-1", "HOME": str(tmp_path)}
    finding = found("Docker", environ, "collector-docker")
    assert finding.text == "found: DOCKER_HOST at build-1; collector-docker is installed"


def test_a_docker_context_is_shown_without_what_else_is_in_its_file(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    config, environ = tmp_path / ".docker" / "config.json", {"DOCKER_HOST": "tcp://b:2375", "HOME": str(tmp_path)}
    for content, where in (
        (
            f'{{"auths": {{"x": {{"auth": "{CANARY}"}}}}, "currentContext": "prod"}}',
            "context prod of the docker command",
        ),
        ('{"currentContext": "default"}', "DOCKER_HOST at tcp://b:2375"),
        (CANARY, "DOCKER_HOST at tcp://b:2375"),
    ):
        config.write_text(content)
        assert found("Docker", environ).where == where
    assert found("Docker", {**environ, "DOCKER_CONTEXT": "lab"}).where == "context lab of the docker command"


def test_a_collector_is_useful_where_it_finds_something_or_is_told_of_it(tmp_path: Path) -> None:
    environ, installed = {"HOME": str(tmp_path)}, ["collector-k8s", "collector-nats", "topology-builder"]
    assert useful(environ, installed, ()) == ["collector-nats", "topology-builder"]
    assert useful(environ, installed, {"collector-k8s"}) == installed
    assert useful({**environ, "DOCKER_HOST": "tcp://b:2375"}, ["collector-docker"], ()) == ["collector-docker"]
