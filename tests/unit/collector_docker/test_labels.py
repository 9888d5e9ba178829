import pytest

from kgents_collector_docker.mapping.labels import shown


def test_only_known_labels_are_shown_unless_more_are_allowed() -> None:
    labels = {
        "com.docker.compose.service": "web",
        "com.example.team": "shop",
        "com.example.tier": "1",
        "maintainer": "x",
    }
    assert shown(labels) == {"com.docker.compose.service": "web"}
    assert shown(labels, ["com.example.team"]) == {"com.docker.compose.service": "web", "com.example.team": "shop"}
    assert shown(labels, ["com.example.*"]).keys() == labels.keys() - {"maintainer"}
    assert shown(labels, ["*"]) == labels


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("db.password", "x"), ("db_passwd", "x"), ("ApiKey", "x"), ("api-key", "x"), ("aws.access_key", "x"),
        ("session.token", "x"), ("oauth", "x"),
        ("url", "amqp://guest:guest@mq:5672"), ("key", "-----BEGIN PRIVATE KEY-----"), ("cmd", "run --password=x"),
        ("long", "x" * 257),
    ],
)  # fmt: skip
def test_what_resembles_a_secret_is_never_shown(name: str, value: str) -> None:
    assert shown({name: value, "team": "shop"}, ["*"]) == {"team": "shop"}
