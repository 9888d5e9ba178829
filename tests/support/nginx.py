"""nginx as a proxy in front of a gateway, under a path of its own."""

import subprocess
from pathlib import Path
from typing import Final, Self

from support.ports import free_port
from support.process import OwnProcess, accepts, spawn, until_ready
from support.programs import need

CONFIG: Final = """\
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  gzip on;
  gzip_types application/json text/event-stream;
  gzip_min_length 0;
  gzip_proxied any;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location /kgents/ {{
      proxy_pass http://127.0.0.1:{upstream}/;
      proxy_http_version 1.1;
      proxy_read_timeout {read_timeout_s}s;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


class Nginx(OwnProcess):
    """`async with Nginx(folder, upstream) as proxy`."""

    def __init__(self, folder: Path, upstream: int, *, read_timeout_s: int = 20) -> None:
        """`upstream`: the port of the gateway, which may be silent for `read_timeout_s`."""
        self.port = free_port()
        self._folder = folder
        self._upstream = upstream
        self._read_timeout_s = read_timeout_s

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/kgents/"

    async def __aenter__(self) -> Self:
        config = self._folder / "nginx.conf"
        values = {"folder": self._folder, "port": self.port, "upstream": self._upstream}
        config.write_text(CONFIG.format(**values, read_timeout_s=self._read_timeout_s))
        log = self._folder / "error.log"
        command: list[str | Path] = [need("nginx"), "-e", str(log), "-p", str(self._folder), "-c", str(config)]
        self._process = spawn(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        await until_ready(self._process, lambda: accepts(self.port), log)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
