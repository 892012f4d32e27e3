"""Runs query-api: `python -m query_api`."""

import sys

from query_api.app import serve
from tillstream.observe.serve import run

if __name__ == "__main__":
    sys.exit(run(serve))
