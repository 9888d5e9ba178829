"""Addresses as text. Pure."""


def host_port(host: str, port: int) -> str:
    """`10.0.3.7:80`, `[fd00::7]:80`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
