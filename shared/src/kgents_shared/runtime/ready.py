"""`python -m kgents_shared.runtime.ready PORT`: `/readyz` of this machine → exit code. The HEALTHCHECK of the images.

It is started every half minute beside each service, so it imports no more than a socket.
"""

import socket
import sys
from collections.abc import Sequence
from typing import Final

TIMEOUT_S: Final = 5.0
"""Until the answer begins; a probe is answered at once or is useless."""
EXCERPT_BYTES: Final = 4096
"""Of the answer, which names what is not ready: `docker inspect` shows it."""


def main(arguments: Sequence[str]) -> int:
    """Print what `/readyz` answers; 0 if the service is ready."""
    try:
        port = int(arguments[0])
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
            connection.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            answer = b""
            while len(answer) < EXCERPT_BYTES and (part := connection.recv(EXCERPT_BYTES)):
                answer += part
    except (IndexError, ValueError):
        _say("expected the port of the probes, found none; try: python -m kgents_shared.runtime.ready 8080")
        return 1
    except OSError as error:
        _say(f"expected an answer of /readyz, found {error}; try: set probes.port")
        return 1
    head, _, body = answer.partition(b"\r\n\r\n")
    _say(body.decode(errors="replace"))
    return 0 if head.split(b" ")[1:2] == [b"200"] else 1


def _say(text: str) -> None:
    print(text)  # noqa: T201 - what it is for


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
