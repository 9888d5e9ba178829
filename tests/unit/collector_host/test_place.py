"""Paths of control groups, as engines and systemd name them."""

import pytest

from kgents_collector_host.place import Place, place_of

ID = "4f" * 32
UID = "1a2b3c4d-0000-1111-2222-333344445555"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", Place()),
        ("/system.slice/nginx.service", Place(unit="nginx.service")),
        ("/system.slice/system-postgresql.slice/postgresql@15-main.service", Place(unit="postgresql@15-main.service")),
        ("/system.slice/docker.service", Place(unit="docker.service")),
        ("/user.slice/user-1000.slice/session-12.scope", Place()),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-x-12.scope", Place()),
        ("/system.slice/run-r0f1.service", Place()),
        (f"/docker/{ID}", Place(container_id=ID)),
        (f"/system.slice/docker-{ID}.scope", Place(container_id=ID)),
        (f"/docker/{ID}/system.slice/nginx.service", Place(container_id=ID)),
        (f"/machine.slice/libpod-{ID}.scope/container", Place(container_id=ID)),
        (f"/machine.slice/libpod-conmon-{ID}.scope", Place()),
        (f"/kubepods/burstable/pod{UID}/{ID}", Place(container_id=ID, pod_uid=UID)),
        (
            f"/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-{ID}.scope",
            Place(container_id=ID, pod_uid=UID),
        ),
        (
            f"/kubepods.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice/crio-conmon-{ID}.scope",
            Place(pod_uid=UID),
        ),
        (f"/system.slice/containerd.service/kubepods-x:cri-containerd:{ID}", Place(container_id=ID)),
    ],
)  # fmt: skip
def test_a_path_names_a_place(path: str, place: Place) -> None:
    assert place_of(path) == place
