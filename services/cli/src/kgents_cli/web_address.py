"""The settings of the gateway → the address at which a browser of this machine finds it."""

from typing import TYPE_CHECKING, Final

from kgents_cli.installed import service_names
from kgents_cli.options import Target
from kgents_shared.contract.address import is_unspecified, join
from kgents_shared.contract.errors import ConfigError
from kgents_shared.runtime import config as configuration

if TYPE_CHECKING:
    from kgents_gateway.config import Config

NAME: Final = "gateway"
LOOPBACK: Final = "127.0.0.1"


def configured(target: Target) -> str:
    """Where the configuration has the gateway listen; empty: at any free port, or it cannot be used."""
    from kgents_gateway.config import Config  # noqa: PLC0415 - only where there are settings of it

    try:
        _, config = configuration.load(
            NAME, Config, path=target.config_file, environ=target.environ(), services=service_names()
        )
    except ConfigError:  # the gateway itself says what is wrong, with the log of the others
        return ""
    return of(config)


def of(config: "Config") -> str:
    """Where a gateway with these settings listens."""
    if config.public_url:
        return config.public_url
    if not config.port:
        return ""
    host = LOOPBACK if is_unspecified(config.host) else config.host
    return f"{'https' if config.tls is not None else 'http'}://{join(host, config.port)}/"
