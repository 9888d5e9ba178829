"""`kgents alerts test`: a receiver of the configuration → a marked test, sent from here."""

import asyncio
import secrets

import click

from kgents_alert_notifier.config import Config
from kgents_alert_notifier.receivers.trial import trial
from kgents_cli.alerting.reading import SERVICE
from kgents_cli.installed import service_names
from kgents_cli.options import Target, target_options
from kgents_cli.output import OK, WARNING, WRONG, note, say
from kgents_cli.suggestion import did_you_mean
from kgents_shared.runtime import config as configuration
from kgents_shared.runtime.clock import SystemClock


@click.command("test")
@click.argument("receiver", required=False)
@click.option("--all", "is_each", is_flag=True, help="Each receiver of the configuration.")
@target_options
def test(receiver: str | None, is_each: bool, target: Target) -> None:
    """Send RECEIVER, or each, a marked test and its end, from this machine.

    It is not needed that anything else runs. The settings are those of the configuration, secrets from their files.

    \b
    Examples:
      kgents alerts test ops --config kgents.yaml
      kgents alerts test --all --config kgents.yaml
    """  # noqa: D301
    common, own = configuration.load(
        SERVICE, Config, path=target.config_file, environ=target.environ(), services=service_names()
    )
    known = own.all_receivers()
    if (receiver is None) != is_each:
        raise click.UsageError(f"expected a RECEIVER or --all; the configuration has {', '.join(known) or 'none'}")
    if receiver is not None and receiver not in known:
        raise click.UsageError(
            f"expected a receiver of the configuration, found {receiver!r}; {did_you_mean(receiver, known)}"
        )
    cluster = target.cluster or common.cluster
    failures: dict[str, str] = {}
    for name in known if receiver is None else [receiver]:
        failures |= _tried(own, name, cluster)
    for name, why in failures.items():
        say(f"{WRONG} {name}: {why}" if why else f"{OK} {name} has the test")
    for line in own.remarks():
        note(f"{WARNING} {line}")
    if any(failures.values()):
        raise SystemExit(1)


def _tried(own: Config, name: str, cluster: str) -> dict[str, str]:
    """Receiver → why it does not have the test; empty if it has."""
    id_ = f"test-{secrets.token_hex(8)}"
    config, now = own.all_receivers()[name], SystemClock().now
    try:
        return asyncio.run(trial(name, config, cluster=cluster, id_=id_, links=own.links, now=now))
    except ImportError:
        return {name: "needs Apprise; try: pip install kgents-alert-notifier[apprise]"}
