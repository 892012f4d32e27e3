"""Settings of whoever runs the tests do not reach them."""

import os

SCRUBBED = ("TILLSTREAM_", "PG")
MAKE_VARIABLES = frozenset(
    {"STATE", "PORT_OFFSET", "FORMAT", "SERVICE", "FORCE", "PROMETHEUS", "ENVIRONMENT", "TARGET"}
)


def pytest_configure() -> None:
    """Forget what would configure a service, a database client or `make`."""
    for name in list(os.environ):
        if name.startswith(SCRUBBED) or name in MAKE_VARIABLES:
            del os.environ[name]
