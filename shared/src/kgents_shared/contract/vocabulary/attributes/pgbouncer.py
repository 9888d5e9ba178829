"""What collectors state of PgBouncer and OpenTelemetry has no name for."""

from typing import Final

from kgents_shared.contract.vocabulary.attributes.attribute import Attributes

_OURS: Final = Attributes()
_attribute = _OURS.attribute

DATABASES: Final = _attribute("kgents.pgbouncer.databases", "Names of its databases.")
MAX_CLIENT_CONN: Final = _attribute("kgents.pgbouncer.max_client_conn", "Clients that it allows.")

ATTRIBUTES: Final = tuple(_OURS.declared)
