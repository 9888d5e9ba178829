"""The Secrets of every kind: made once, with what chance gives; never read, never changed."""

import base64
import secrets
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kgents_operator.desired.owner import DATABASE, Owner

Json = dict[str, Any]

BYTES: Final = 24
"""Of chance in a password."""
VALID: Final = timedelta(days=3650)
"""Of our own certificate. Who wants it shorter names one of cert-manager's."""


def login(owner: Owner, name: str, user: str) -> Json:
    """A Secret of user and password."""
    return secret(owner, name, {"username": user, "password": password()}, type_="kubernetes.io/basic-auth")


def password() -> str:
    """One that cannot be guessed."""
    return secrets.token_urlsafe(BYTES)


def secret(owner: Owner, name: str, content: dict[str, str], *, type_: str = "Opaque") -> Json:
    """A Secret, which outlives its resource as its volumes do."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    return owner.retained("v1", "Secret", name, DATABASE) | {"type": type_, "data": data}


def certificate(name: str, hosts: list[str], now: datetime) -> dict[str, str]:
    """A certificate of an authority of its own, whose key is forgotten: nothing else can ever be signed by it."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority")])
    authority = (
        _begun(authority_name, authority_name, authority_key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    # The common name is for people: names are compared with the alternative ones, which may be longer.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _begun(subject, authority_name, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in hosts]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    written = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "tls.crt": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "tls.key": written.decode(),
        "ca.crt": authority.public_bytes(serialization.Encoding.PEM).decode(),
    }


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID)
    )


def domains(service: str, namespace: str) -> list[str]:
    """What a Service is called, from the namespace and from elsewhere."""
    return [
        f"{service}{each}" for each in ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local")
    ]
