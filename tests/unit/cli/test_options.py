import click
import pytest

from kgents_cli.options import CLUSTER, NATS_URL, Target, overlaid, target_of


def test_a_flag_takes_the_place_of_a_variable_in_either_case() -> None:
    environ = {"kgents__nats__url": "nats://a:1", "PATH": "/bin"}
    assert overlaid(environ, {NATS_URL: "nats://b:2"}) == {"PATH": "/bin", NATS_URL: "nats://b:2"}


def test_flags_are_checked_like_all_settings() -> None:
    common = Target({NATS_URL: "nats://b:2", CLUSTER: "prod"}, None, "prod").load()
    assert (common.nats.url, common.cluster) == ("nats://b:2", "prod")


def test_credentials_in_the_flag_lead_to_where_they_belong() -> None:
    with pytest.raises(
        click.UsageError, match=r"^--nats: .*KGENTS__NATS__PASSWORD_FILE\), or a file with --creds$"
    ) as failed:
        target_of("nats://a:1,nats://user:secret@b:2", None, None, None)
    assert "secret" not in str(failed.value)
