"""What is said when the machine is not as the stack needs it."""

import os
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.ports import free_port
from tillstream_native.preflight import check_disk, check_ports
from tillstream_native.system import LOCALHOST, CannotRun

pytestmark = pytest.mark.unit


def test_free_ports_pass() -> None:
    check_ports({free_port(): "kafka"})


def test_taken_port_is_named_with_its_part_and_its_holder() -> None:
    with socket.create_server((LOCALHOST, 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(
            CannotRun, match=f"Port {port}, which kafka needs, is taken by .* with pid {os.getpid()}"
        ):
            check_ports({port: "kafka"})


def test_all_taken_ports_are_named_at_once() -> None:
    with socket.create_server((LOCALHOST, 0)) as one, socket.create_server((LOCALHOST, 0)) as other:
        ports = one.getsockname()[1], other.getsockname()[1]
        with pytest.raises(CannotRun, match=rf"Port {ports[0]}, .* Port {ports[1]}, "):
            check_ports({ports[0]: "kafka", ports[1]: "postgres"})


def test_full_disk_is_said_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=7_000_000))
    with pytest.raises(CannotRun, match="Only 7 MB are free"):
        check_disk(tmp_path / "not" / "there" / "yet")
