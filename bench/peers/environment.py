"""The environment in which the peers run: their own packages, from their own lock, made once."""

import shutil
import subprocess
import venv
from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements" / "peers.txt"


def peer_programs(cache: Path) -> Path:
    """The folder with the peers' `python` and `gunicorn`; made anew when the lock has changed."""
    place = cache / "peers"
    stamp = place / "lock.txt"
    if not stamp.exists() or stamp.read_bytes() != LOCK.read_bytes():
        shutil.rmtree(place, ignore_errors=True)
        venv.create(place, with_pip=True, symlinks=True)
        python = str(place / "bin" / "python")
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "--require-hashes", "-r", str(LOCK)], check=True
        )
        shutil.copyfile(LOCK, stamp)
    return place / "bin"
