from kgents_cli.options import CLUSTER, NATS_URL, Target, overlaid


def test_a_flag_takes_the_place_of_a_variable_in_either_case() -> None:
    environ = {"kgents__nats__url": "nats://a:1", "PATH": "/bin"}
    assert overlaid(environ, {NATS_URL: "nats://b:2"}) == {"PATH": "/bin", NATS_URL: "nats://b:2"}


def test_flags_are_checked_like_all_settings() -> None:
    common = Target({NATS_URL: "nats://b:2", CLUSTER: "prod"}, None, "prod").load()
    assert (common.nats.url, common.cluster) == ("nats://b:2", "prod")
