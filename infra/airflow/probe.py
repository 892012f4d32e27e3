"""The health check of Airflow's containers: `python probe.py ADDRESS PART…`, 0 where the server answers and the parts are alive.

Asked is the server, which knows when each part was heard of last; a part's own command would load all of Airflow each time.
"""

import http.client
import json
import sys

WITHIN_S = 8.0


def main(address: str, parts: list[str]) -> int:
    """Asks once; what is wrong goes to stderr, where `docker inspect` shows it."""
    connection = http.client.HTTPConnection(address, timeout=WITHIN_S)
    connection.request("GET", "/api/v2/monitor/health")
    health = json.load(connection.getresponse())
    sick = [part for part in parts if health[part]["status"] != "healthy"]
    if sick:
        print(f"not healthy: {', '.join(sick)}", file=sys.stderr)
    return 1 if sick else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
