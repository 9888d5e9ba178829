"""`kgents run SERVICE`: an entry point → `runtime.service.serve`: what containers and `kgents up` start."""

import click

from kgents_cli.installed import load_service, service_names
from kgents_cli.options import Target, target_options
from kgents_shared.runtime.process import serve


@click.command("run")
@click.argument("service")
@target_options
def command(service: str, target: Target) -> int:
    """Run one service in the foreground, until SIGTERM or Ctrl-C.

    \b
    Example:
      kgents run topology-builder --nats nats://nats:4222
    """  # noqa: D301
    found = load_service(service)
    return serve(found, config_file=target.config_file, environ=target.environ(), services=service_names())
