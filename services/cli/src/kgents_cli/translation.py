"""A configuration in another layout → ours, and what of it has no counterpart. Pure.

Two layouts are known: `collectors:`, `visualization:`, `health:`, `alerts:` in YAML, and the `[database]`,
`[collection]`, `[listener]`, `[buffer]` of a PostgreSQL agent in INI. Each setting of theirs has one rule in `_RULES`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from kgents_shared.contract.address import of_url
from kgents_shared.runtime.other_layouts import FOREIGN_SECTIONS

Key = tuple[str, ...]

SECRETS: Final = "/etc/kgents/secrets"
"""Where the secrets of an imported configuration are expected. None is ever copied into the file that is written."""


class Translation(Struct):
    """Our settings, and what a person should know about them."""

    settings: dict[str, Any] = {}
    """As the YAML file gives them."""

    comments: dict[Key, str] = {}
    """Where a setting comes from, by its key."""

    remarks: list[str] = []
    """What was left out or changed, and why."""

    def put(self, key: Key, value: object, origin: str) -> None:
        """Set one of our settings."""
        node = self.settings
        for part in key[:-1]:
            node = node.setdefault(part, {})
        node[key[-1]] = value
        self.comments[key] = origin


class UnfitError(Exception):
    """A value that its setting cannot have; the text says what was expected."""


Take = Callable[[Translation, str, Any], None]
"""How a setting of theirs is taken over: the result so far, the setting's path, its value."""


def translate(document: Mapping[object, object]) -> Translation:
    """Translate what a file in another layout holds."""
    result = Translation()
    off = {name for name, section in _members(document.get("collectors")) if section.get("enabled") is False}
    for path, value in _leaves(document):
        parts = path.split(".")
        if parts[0] == "collectors" and parts[1:2] and parts[1] in off:
            if parts[2:] == ["enabled"]:
                service = _SERVICES.get(parts[1], "its collector")
                result.remarks.append(f"collectors.{parts[1]}: switched off: not written; do not run {service}")
            continue
        rule = _RULES.get(path)
        if value is None and (rule is not None or path in FOREIGN_SECTIONS):
            continue
        if rule is None:
            result.remarks.append(f"{path}: unknown in this layout, so it is left out")
            continue
        try:
            rule(result, path, value)
        except UnfitError as error:
            result.remarks.append(f"{path}: left out: expected {error}, found {type(value).__name__}")
    _complete(result)
    return result


def _members(node: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        yield from ((str(name), section) for name, section in node.items() if isinstance(section, Mapping))


def _leaves(node: Mapping[object, object], at: str = "") -> Iterator[tuple[str, object]]:
    for name, value in node.items():
        path = f"{at}.{name}" if at else str(name)
        if isinstance(value, Mapping):
            yield from _leaves(value, path)
        else:
            yield path, value


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # whatever it is, it is a number or it is refused
    except (TypeError, ValueError):
        raise UnfitError("a number") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UnfitError("a text")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise UnfitError("true or false")
    return value


def _texts(value: object) -> list[str]:
    if not isinstance(value, list):
        raise UnfitError("a list of texts")
    return [_text(item) for item in value]


def _to(*key: str, as_: Callable[[Any], object] = _text) -> Take:
    def take(result: Translation, path: str, value: Any) -> None:
        result.put(key, as_(value), path)

    return take


def _seconds(*key: str, low: float, high: float, divisor: float = 1) -> Take:
    """A duration, kept within what ours allows."""

    def take(result: Translation, path: str, value: Any) -> None:
        given = _number(value) / divisor
        kept = min(max(given, low), high)
        if kept != given:
            result.remarks.append(f"{path}: {given:g} s becomes {kept:g} s: ours allows {low:g} to {high:g}")
        result.put(key, kept, path)

    return take


def _threshold(check: str, name: str) -> Take:
    """A share of 0 to 1; what is above 1 was meant in percent."""

    def take(result: Translation, path: str, value: Any) -> None:
        given = _number(value)
        share = given / 100 if given > 1 else given
        if share != given:
            result.remarks.append(f"{path}: {given:g} is taken as {given:g} %")
        result.put(("health-scorer", "thresholds", check, name), share, path)

    return take


def _none(why: str) -> Take:
    def take(result: Translation, path: str, value: Any) -> None:
        if value not in (False, "", []):
            result.remarks.append(f"{path}: no counterpart: {why}")

    return take


def _secret(where: str) -> Take:
    """A secret: ours names the file that holds it."""
    *key, file = where.split(" ")

    def take(result: Translation, path: str, value: Any) -> None:
        _put_secret(result, tuple(key), file, path)

    return take


def _put_secret(result: Translation, key: Key, file: str, path: str) -> None:
    result.put(key, f"{SECRETS}/{file}", path)
    result.remarks.append(f"{path}: the secret is not copied: write it to {SECRETS}/{file}, readable by kgents alone")


def _section(name: str) -> Take:
    """Being switched on: with us a section is there, and `kgents up` or `kgents run` starts its service."""

    def take(result: Translation, path: str, _value: Any) -> None:
        result.settings.setdefault(name, {})
        result.comments.setdefault((name,), path)

    return take


def _nats(result: Translation, path: str, value: Any) -> None:
    """Servers, and the login that may stand in their urls: ours are logged, so it goes elsewhere."""
    urls = []
    for url in _text(value).split(","):
        scheme, separator, rest = url.strip().partition("://")
        login, _, host = rest.rpartition("@")
        urls.append(scheme + separator + host)
        user, colon, _password = login.partition(":")
        if colon:
            result.put(("nats", "user"), user, path)
            _put_secret(result, ("nats", "password_file"), "nats-password", path)
        elif user:
            _put_secret(result, ("nats", "token_file"), "nats-token", path)
    result.put(("nats", "url"), ", ".join(dict.fromkeys(urls)), path)
    result.remarks.append(f"{path}: with us also the server that everything is published to (nats.url)")


def _target(result: Translation, path: str, _value: Any) -> None:
    """Being switched on: the one database of the other layout, with our defaults unless more is said."""
    result.settings.setdefault(_TARGET[0], {}).setdefault(_TARGET[1], {}).setdefault(_TARGET[2], {})
    result.comments.setdefault(_TARGET, path)


def _database(result: Translation, path: str, value: Any) -> None:
    """A database as one url, and the password that may stand in it."""
    try:
        url, address = urlsplit(_text(value)), of_url(_text(value))
    except ValueError:
        raise UnfitError("a url such as postgresql://user@host:5432/database") from None
    found = {"host": address.host, "port": address.port, "user": url.username, "database": url.path.strip("/")}
    for name, part in found.items():
        if part:
            result.put((*_TARGET, name), unquote(part) if isinstance(part, str) else part, path)
    if url.password:
        _put_secret(result, (*_TARGET, "password_file"), "postgres-main-password", path)
    if url.query:
        result.remarks.append(f"{path}: left out: what follows `?`; TLS is set in collector-db.postgres.main.tls")


def _monitor(result: Translation, path: str, value: Any) -> None:
    result.put(("collector-nats", "monitor_urls"), [_text(value)], path)


def _receiver(result: Translation, path: str, value: Any) -> None:
    """Where programs send: ours receives there itself, so only the port is taken over."""
    try:
        port = of_url(_text(value), GRPC_PORT).port or GRPC_PORT
    except ValueError:
        raise UnfitError("a url such as http://localhost:4317") from None
    protocol = "http" if port == HTTP_PORT else "grpc"
    result.put(("collector-otel", protocol, "port"), port, path)
    result.remarks.append(f"{path}: kgents receives there itself; collector-otel.{protocol}.host is 127.0.0.1")


def _engine(result: Translation, path: str, value: Any) -> None:
    result.put(("collector-docker", "engines"), [{"url": _text(value)}], path)


def _complete(result: Translation) -> None:
    """Thresholds of a check are given together: put the other layout's own defaults beside those that were given."""
    thresholds = result.settings.get("health-scorer", {}).get("thresholds", {})
    for check, defaults in _THRESHOLDS.items():
        if check in thresholds:
            thresholds[check] = {**defaults, **thresholds[check]}


_THRESHOLDS: Final = {"KG-101": {"warn": 0.8, "crit": 0.95, "fatal": 1.0}, "KG-102": {"warn": 0.7, "crit": 0.9}}
GRPC_PORT: Final = 4317
HTTP_PORT: Final = 4318
_SERVICES: Final = {
    "kubernetes": "collector-k8s",
    "docker": "collector-docker",
    "nats": "collector-nats",
    "postgres": "collector-db",
    "otel": "collector-otel",
}

_NO_VIEW: Final = "nothing draws the topology yet"
_TARGET: Final = ("collector-db", "postgres", "main")

_RULES: Final[dict[str, Take]] = {
    "collectors.kubernetes.enabled": _section("collector-k8s"),
    "collectors.kubernetes.kubeconfig": _to("collector-k8s", "kubeconfig"),
    "collectors.kubernetes.namespaces": _to("collector-k8s", "namespaces", as_=_texts),
    "collectors.kubernetes.poll_interval": _none("the cluster is watched, so changes arrive as they happen"),
    "collectors.docker.enabled": _section("collector-docker"),
    "collectors.docker.socket": _engine,
    "collectors.docker.poll_interval": _seconds("collector-docker", "poll_interval_s", low=1, high=3600),
    "collectors.nats.enabled": _section("collector-nats"),
    "collectors.nats.url": _nats,
    "collectors.nats.monitor_url": _monitor,
    "collectors.nats.poll_interval": _seconds("collector-nats", "poll_interval_s", low=1, high=3600),
    "collectors.nats.subjects": _none("the busiest subjects are shown, as many as collector-nats.max_subjects says"),
    "collectors.postgres.enabled": _target,
    "collectors.postgres.url": _database,
    "collectors.postgres.dsn": _database,
    "collectors.postgres.host": _to(*_TARGET, "host"),
    "collectors.postgres.port": _to(*_TARGET, "port", as_=lambda value: int(_number(value))),
    "collectors.postgres.database": _to(*_TARGET, "database"),
    "collectors.postgres.user": _to(*_TARGET, "user"),
    "collectors.postgres.password": _secret("collector-db postgres main password_file postgres-main-password"),
    "collectors.postgres.poll_interval": _seconds(*_TARGET, "interval_s", low=1, high=3600),
    "collectors.otel.enabled": _section("collector-otel"),
    "collectors.otel.otlp_endpoint": _receiver,
    "collectors.otel.prometheus_endpoint": _to("collector-otel", "prometheus_endpoint"),
    "visualization.max_entities": _none(_NO_VIEW),
    "visualization.layout_algorithm": _none(_NO_VIEW),
    "visualization.animation_fps": _none(_NO_VIEW),
    "health.cpu_warning_threshold": _threshold("KG-102", "warn"),
    "health.cpu_critical_threshold": _threshold("KG-102", "crit"),
    "health.memory_warning_threshold": _threshold("KG-101", "warn"),
    "health.memory_critical_threshold": _threshold("KG-101", "crit"),
    "alerts.enabled": _to("alert-notifier", "enabled", as_=_truth),
    "alerts.slack_webhook": _secret("alert-notifier slack_webhook_file slack-webhook"),
    "alerts.pagerduty_key": _secret("alert-notifier pagerduty_key_file pagerduty-key"),
    "database.host": _to(*_TARGET, "host"),
    "database.port": _to(*_TARGET, "port", as_=lambda value: int(_number(value))),
    "database.name": _to(*_TARGET, "database"),
    "database.user": _to(*_TARGET, "user"),
    "database.password": _secret("collector-db postgres main password_file postgres-main-password"),
    "database.statement_timeout_ms": _seconds(*_TARGET, "statement_timeout_s", low=1, high=30, divisor=1000),
    "collection.interval_s": _seconds(*_TARGET, "interval_s", low=1, high=3600),
    "collection.log_path": _to(*_TARGET, "log_path"),
    "listener.url": _none("samples go to NATS (nats.url), from where any program reads them"),
    "listener.api_key": _none("the login is that of NATS. The secret is not copied"),
    "listener.project_id": _to("cluster"),
    "buffer.path": _to("data_dir"),
    "buffer.max_size_mb": _none("the buffer on disk keeps at most 100 MiB"),
}
