"""A token goes over TLS or to this machine, or nothing is sent."""

import pytest

from kgents_otlp_exporter.config import Config
from kgents_shared.bus.config import Secret
from kgents_shared.contract.section import InvalidSectionError

CANARY = "Zx81-canary"
pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "endpoint", ["https://otel:4318", "http://127.0.0.1:4318", "http://localhost:4318", "http://[::1]:4318"]
)
def test_a_token_goes_over_tls_or_to_this_machine(endpoint: str) -> None:
    assert Config(endpoint=endpoint, token=Secret(CANARY)).token is not None


@pytest.mark.parametrize("endpoint", ["http://otel:4318", "http://10.0.0.1:4318", "http://127.0.0.1.example.com"])
def test_a_token_is_never_sent_in_clear_text(endpoint: str) -> None:
    assert Config(endpoint=endpoint).token is None
    with pytest.raises(InvalidSectionError, match=r"expected https://.*never sent in clear text") as refused:
        Config(endpoint=endpoint, token=Secret(CANARY))
    assert CANARY not in str(refused.value)
