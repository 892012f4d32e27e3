"""The few HTTP questions that the stack asks its own services."""

import http.client
import json
from typing import Any

from tillstream_native.system import LOCALHOST

ANSWER_WITHIN_S = 3


def get(port: int, path: str) -> tuple[int, Any]:
    """Status and decoded body (None when it is not JSON). Raises OSError when nobody answers."""
    connection = http.client.HTTPConnection(LOCALHOST, port, timeout=ANSWER_WITHIN_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, _decoded(answer.read())
    except http.client.HTTPException as error:
        raise ConnectionError(f"port {port} did not answer in HTTP") from error
    finally:
        connection.close()


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
