"""Passwords of one stack: random, made once, readable by their owner only."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from tillstream_native.postgres import DATABASE, ROLES, SUPERUSER, Cluster

PASSWORD_BYTES = 24
OWNER_ONLY = 0o600


def load_passwords(folder: Path) -> Mapping[str, str]:
    """One password per role; what is missing is made up and kept."""
    return {role: _load_or_make(folder / f"{role}.password") for role in (SUPERUSER, *ROLES)}


def write_urls(folder: Path, cluster: Cluster) -> None:
    """One connection string per role, for the settings that are read from files."""
    for role in (SUPERUSER, *ROLES):
        _write(url_file(folder, role), cluster.dsn(DATABASE, role))


def url_file(folder: Path, role: str) -> Path:
    return folder / f"{role}.url"


def password_file(folder: Path, role: str) -> Path:
    return folder / f"{role}.password"


def _load_or_make(path: Path) -> str:
    if not path.exists():
        _write(path, secrets.token_urlsafe(PASSWORD_BYTES))
    return path.read_text().strip()


def _write(path: Path, text: str) -> None:
    half = path.with_suffix(".half")
    half.unlink(missing_ok=True)
    with open(half, "x", opener=lambda name, flags: os.open(name, flags, OWNER_ONLY)) as file:
        file.write(f"{text}\n")
    half.rename(path)
