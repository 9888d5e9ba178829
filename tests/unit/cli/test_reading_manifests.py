"""Files and git repositories → documents of manifests."""

import shutil
import subprocess
from pathlib import Path

import pytest

from kgents_cli.git_folder import fetched, git_place
from kgents_shared.kubernetes.desired.reading import ManifestError, read

MANIFEST = "{apiVersion: v1, kind: Service, metadata: {name: NAME}}\n"


def names(place: Path) -> list[str]:
    return [each["metadata"]["name"] for _, parsed in read(str(place)) for each in parsed]


def test_a_directory_is_read_with_all_below_it(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("a.yaml", "below/b.yml", ".hidden/c.yaml", "d.txt"):
        (tmp_path / name).write_text(MANIFEST.replace("NAME", Path(name).stem))
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize(
    ("file", "advice"), [("Chart.yaml", "helm template NAME"), ("kustomization.yaml", "kgents drift")]
)
def test_what_must_be_rendered_first_is_said(file: str, advice: str, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / file).write_text("{}")
    with pytest.raises(ManifestError, match=f"try: {advice}"):
        read(str(tmp_path))


def test_what_is_no_yaml_is_refused_without_its_text(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text('password: "CANARY\n')
    with pytest.raises(ManifestError, match="expected YAML") as raised:
        read(str(tmp_path))
    assert "CANARY" not in str(raised.value)


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(MANIFEST)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    with pytest.raises(ManifestError, match="leads out"):
        read(str(tmp_path / "in"))


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is missing")
def test_a_kustomization_is_rendered(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MANIFEST.replace("NAME", "cart"))
    (tmp_path / "kustomization.yaml").write_text("{resources: [a.yaml], namePrefix: blue-}")
    assert names(tmp_path) == ["blue-cart"]


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ("https://host/shop.git@main:deploy", ("https://host/shop.git", "main", "deploy")),
        ("https://host:8443/shop.git:deploy/prod", ("https://host:8443/shop.git", "", "deploy/prod")),
        ("git@host:shop/shop.git@feature/x:deploy", ("git@host:shop/shop.git", "feature/x", "deploy")),
        ("ssh://git@host/shop.git:", ("ssh://git@host/shop.git", "", ".")),
        ("/srv/shop.git@v1:a", ("/srv/shop.git", "v1", "a")),
    ],
)
def test_a_place_in_a_repository_has_three_parts(spec: str, place: tuple[str, str, str]) -> None:
    assert git_place(spec) == place


@pytest.mark.parametrize(
    "spec", ["https://host/shop.git", "--upload-pack=x:a", "https://h/r@--x:a", "https://me:CANARY@h/r:a", "shop"]
)
def test_a_place_that_is_none_is_refused_without_its_password(spec: str) -> None:
    with pytest.raises(ManifestError) as raised:
        git_place(spec)
    assert "CANARY" not in str(raised.value)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is missing")
def test_a_repository_is_read_at_the_revision_that_is_named(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main")
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True, timeout=60)

    git("init", "-q")
    (tmp_path / "deploy").mkdir()
    for version in ("one", "two"):
        (tmp_path / "deploy" / "a.yaml").write_text(MANIFEST.replace("NAME", version))
        git("add", ".")
        git("commit", "-qm", version)
        git("tag", version)
    for ref, expected in (("@one", "one"), ("", "two")):
        with fetched(f"{tmp_path}{ref}:deploy") as (place, commit):
            assert (names(place), len(commit)) == ([expected], 12)
    with pytest.raises(ManifestError, match="no such path"), fetched(f"{tmp_path}:../.."):
        pass
