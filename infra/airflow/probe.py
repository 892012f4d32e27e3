"""The health check of the container of Airflow: 0 where its server answers and every part that it knows of is alive, 1 otherwise."""

import json
import sys
import urllib.request

ADDRESS = "http://127.0.0.1:8080/api/v2/monitor/health"
WITHIN_S = 8.0


def main() -> int:
    """Asks once; what is wrong goes to stderr, where `docker inspect` finds it."""
    with urllib.request.urlopen(ADDRESS, timeout=WITHIN_S) as answer:
        parts = json.load(answer)
    sick = [name for name, part in parts.items() if part.get("status") not in {"healthy", None}]
    if sick:
        print(f"not healthy: {', '.join(sick)}", file=sys.stderr)
    return 1 if sick else 0


if __name__ == "__main__":
    sys.exit(main())
