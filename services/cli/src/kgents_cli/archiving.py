"""The section `archiver` of a configuration, for the commands that work on the archive itself."""

from kgents_archiver.config import Config
from kgents_cli.installed import service_names
from kgents_cli.options import Target
from kgents_shared.runtime import config as configuration

SERVICE = "archiver"


def settings(target: Target) -> Config:
    """The section `archiver`.

    Raises:
        ConfigError: it cannot be used.
    """
    _, own = configuration.load(
        SERVICE, Config, path=target.config_file, environ=target.environ(), services=service_names()
    )
    return own
