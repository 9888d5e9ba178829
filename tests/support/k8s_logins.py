"""Logins read in a process of their own: `python -m support.k8s_logins whole|postponed LOGIN…` prints them as JSON.

`whole`: kubernetes-asyncio was imported by its own `__init__` before; `postponed`: as the collector imports it. A login
is a kubeconfig, or the folder of a service account.
"""

import asyncio
import json
import sys
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

SETTINGS = ("host", "verify_ssl", "tls_server_name", "proxy", "api_key")
FILES = ("ssl_ca_cert", "cert_file", "key_file")
"""Their names are made up at each login; their content decides."""


async def read(path: Path) -> dict[str, Any]:
    from kubernetes_asyncio.config import incluster_config  # noqa: PLC0415

    from kgents_shared.kubernetes import login  # noqa: PLC0415 - after the library, or as its first importer

    if path.is_dir():
        vars(login)["SERVICE_ACCOUNT"] = path / "token"
        incluster_config.SERVICE_TOKEN_FILENAME = str(path / "token")
        incluster_config.SERVICE_CERT_FILENAME = str(path / "ca.crt")
        incluster_config.TOKEN_REFRESH_PERIOD = timedelta(0)
    found = await login.read_credentials(None if path.is_dir() else path, "")
    result = {name: getattr(found.configuration, name) for name in SETTINGS}
    result["api_key"] = dict(result["api_key"])
    for name in FILES:
        file = getattr(found.configuration, name)
        result[name] = Path(file).read_text() if file else None
    if path.is_dir():
        (path / "token").write_text("renewed")
    return result | {
        "context": found.context,
        "headers": found.headers,
        "sent": [each["value"] for each in (await found.configuration.auth_settings()).values()],
    }


async def main(mode: str, paths: list[str]) -> None:
    if mode == "whole":
        import_module("kubernetes_asyncio")
    import_module("kgents_collector_k8s.app")
    count = import_module("kgents_shared.kubernetes.library").models
    imported = count()
    logins = [await read(Path(path)) for path in paths]
    json.dump({"models": [imported, count()], "logins": logins}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
