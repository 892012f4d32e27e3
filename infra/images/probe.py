"""The health check of the services' images: 0 where /health/ready on this container's ops port answers 200, 1 otherwise.

It imports nothing but sockets, since it is started anew every few seconds.
"""

import os
import socket
import sys

WITHIN_S = 3.0
STATUS_BYTES = 64


def main() -> int:
    """Asks once."""
    port = int(os.environ["TILLSTREAM_OPS_PORT"])
    with socket.create_connection(("127.0.0.1", port), WITHIN_S) as connection:
        connection.sendall(b"GET /health/ready HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        status_line = connection.recv(STATUS_BYTES).split(b"\r\n")[0]
    return 0 if b" 200 " in status_line else 1


if __name__ == "__main__":
    sys.exit(main())
