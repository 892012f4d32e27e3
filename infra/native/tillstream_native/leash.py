"""Ends the servers of a process that died without doing so: `python -m tillstream_native.leash OWNER_PID FOLDER`.

The folder holds one `*.pid` file per server. It is deleted when the owner is gone; when the owner deletes it itself,
the leash ends too. Without this, a killed test run would leave a database and a broker behind.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

POLL_S = 0.2
GRACE_S = 10


def fasten(owner_pid: int, folder: Path) -> subprocess.Popen[bytes]:
    """Start a leash; it needs no stopping."""
    command = [sys.executable, "-m", "tillstream_native.leash", str(owner_pid), str(folder)]
    package_root = str(Path(__file__).parent.parent)
    return subprocess.Popen(command, cwd=package_root, start_new_session=True, stdin=subprocess.DEVNULL)


def end_all(folder: Path) -> None:
    """End every server whose pid lies in the folder, then the folder."""
    servers = [server for file in folder.rglob("*.pid") for server in _process(file)]
    family = [child for server in servers for child in server.children(recursive=True)]
    for server in servers:
        server.terminate()
    _, left = psutil.wait_procs([*servers, *family], timeout=GRACE_S)
    for process in left:
        process.kill()
    shutil.rmtree(folder, ignore_errors=True)


def _process(pid_file: Path) -> list[psutil.Process]:
    try:
        process = psutil.Process(int(pid_file.read_text()))
        started_by_then = process.create_time() <= pid_file.stat().st_mtime + 1
    except (psutil.NoSuchProcess, ValueError, FileNotFoundError):
        return []
    return [process] if started_by_then else []  # else the number belongs to somebody else by now


def main(owner_pid: int, folder: Path) -> None:
    try:
        owner = psutil.Process(owner_pid)
    except psutil.NoSuchProcess:
        end_all(folder)
        return
    while folder.exists():
        if not owner.is_running() or owner.status() == psutil.STATUS_ZOMBIE:
            end_all(folder)
            return
        time.sleep(POLL_S)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
