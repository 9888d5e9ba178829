"""Whom a connection to a Qdrant target trusts: its settings → a context of TLS."""

import ssl

from kgents_collector_db.targets.qdrant import QdrantTarget


def trusted(target: QdrantTarget) -> ssl.SSLContext | bool:
    """As httpx takes it; of a url without https it does not count.

    Raises:
        OSError: a file cannot be read, or not be used.
    """
    if not target.is_https:
        return True
    context = ssl.create_default_context(cafile=target.tls_ca_file)
    if target.tls == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if target.tls_cert_file is not None:
        context.load_cert_chain(target.tls_cert_file, target.tls_key_file)
    return context
