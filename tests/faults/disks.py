"""Small disks in memory, so that a full one harms nobody else. They belong to a mount namespace of this process and its children
and are gone with the last of these, however it ends."""

import os
import subprocess
from pathlib import Path

ROOMY_BYTES = 1_500_000_000
TRIES = 50


class Disks:
    """`available` is false where this process may not mount: then folders stay what they are and nothing can be filled."""

    def __init__(self) -> None:
        self.available = _enter_own_namespace()
        self._mounted: dict[str, Path] = {}

    def __repr__(self) -> str:
        return f"<Disks {', '.join(self._mounted) or 'none'}>"

    def mount(self, name: str, folder: Path) -> None:
        """Put a disk under an empty folder, which keeps its mode and its owner."""
        if not self.available:
            return
        found = folder.stat()
        options = f"size={ROOMY_BYTES},mode={found.st_mode & 0o7777:o},uid={found.st_uid},gid={found.st_gid}"
        _run("mount", "-t", "tmpfs", "-o", options, "tillstream-chaos", str(folder))
        self._mounted[name] = folder

    def fill(self, name: str) -> None:
        """Make the disk as small as what lies on it."""
        folder = self._mounted[name]
        for _ in range(TRIES):
            used = os.statvfs(folder)
            pages = used.f_blocks - used.f_bfree
            size = pages * used.f_frsize
            if _runs("mount", "-o", f"remount,size={size}", str(folder)):
                return
        raise AssertionError(f"the disk under {name} grows faster than it can be made small")

    def widen(self, name: str) -> None:
        _run("mount", "-o", f"remount,size={ROOMY_BYTES}", str(self._mounted[name]))

    def unmount(self) -> None:
        """May be repeated. Whoever still works on one keeps it until it ends."""
        for folder in self._mounted.values():
            _run("umount", "--lazy", str(folder))
        self._mounted.clear()


def _enter_own_namespace() -> bool:
    """Whether this process has mounts of its own from now on, which nobody else sees."""
    if os.geteuid() != 0:
        return False
    try:
        os.unshare(os.CLONE_NEWNS)
    except OSError:
        return False
    return _runs("mount", "--make-rprivate", "/") and _can_mount()


def _can_mount() -> bool:
    probe = Path("/mnt")
    return (
        probe.is_dir()
        and _runs("mount", "-t", "tmpfs", "-o", "size=64k", "probe", str(probe))
        and _runs("umount", str(probe))
    )


def _runs(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
