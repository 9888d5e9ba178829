"""`kgents alerts test`: a receiver of the configuration → a marked test, sent from here."""

import asyncio
import secrets

import click

from kgents_alert_notifier.config import Config
from kgents_alert_notifier.receivers.trial import trial
from kgents_cli.alerting.reading import SERVICE
from kgents_cli.installed import service_names
from kgents_cli.options import Target, target_options
from kgents_cli.output import OK, WRONG, say
from kgents_cli.suggestion import did_you_mean
from kgents_shared.runtime import config as configuration
from kgents_shared.runtime.clock import SystemClock


@click.command("test")
@click.argument("receiver")
@target_options
def test(receiver: str, target: Target) -> None:
    """Send RECEIVER a marked test and its end, from this machine.

    It is not needed that anything else runs. The settings are those of the configuration, secrets from their files.

    \b
    Examples:
      kgents alerts test ops --config kgents.yaml
    """  # noqa: D301
    common, own = configuration.load(
        SERVICE, Config, path=target.config_file, environ=target.environ(), services=service_names()
    )
    known = own.all_receivers()
    if receiver not in known:
        raise click.UsageError(
            f"expected a receiver of the configuration, found {receiver!r}; {did_you_mean(receiver, known)}"
        )
    cluster = target.cluster or common.cluster
    id_ = f"test-{secrets.token_hex(8)}"
    try:
        failures = asyncio.run(
            trial(receiver, known[receiver], cluster=cluster, id_=id_, links=own.links, now=SystemClock().now)
        )
    except ImportError:
        raise click.UsageError(f"{receiver} needs Apprise; try: pip install kgents-alert-notifier[apprise]") from None
    for name, why in failures.items():
        say(f"{WRONG} {name}: {why}" if why else f"{OK} {name} has the test")
    if any(failures.values()):
        raise SystemExit(1)
