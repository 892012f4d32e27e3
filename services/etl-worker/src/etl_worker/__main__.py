"""Runs etl-worker: `python -m etl_worker`."""

import sys

from etl_worker.app import serve
from tillstream.observe.serve import run

if __name__ == "__main__":
    sys.exit(run(serve))
