"""The Python that `make` finds: one that runs, not one that is merely there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

FINDER = Path(__file__).parents[1] / "find_python.sh"
BROKEN = "#!/bin/sh\nexit 127\n"
TOO_OLD = "#!/bin/sh\nexit 1\n"
GOOD = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'


def plant(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)
    return path


def find(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the finder where only the planted programs can be found."""
    libraries = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    clean = {"PATH": str(folder / "bin"), "HOME": str(folder), **libraries, **environment}
    shell = ["/bin/sh", str(FINDER)]
    return subprocess.run(shell, env=clean, capture_output=True, text=True, check=False, cwd=os.sep)


def test_shim_that_fails_is_passed_over(tmp_path: Path) -> None:
    plant(tmp_path / "bin" / "python3.13", BROKEN)
    good = plant(tmp_path / "bin" / "python3.12", GOOD)
    assert find(tmp_path).stdout.strip() == str(good)


def test_version_kept_by_pyenv_is_found_although_the_default_is_too_old(tmp_path: Path) -> None:
    plant(tmp_path / "bin" / "python3", TOO_OLD)
    plant(tmp_path / "bin" / "pyenv", f"#!/bin/sh\necho {tmp_path}/pyenv\n")
    good = plant(tmp_path / "pyenv" / "versions" / "3.13.0" / "bin" / "python", GOOD)
    assert find(tmp_path).stdout.strip() == str(good)


def test_named_python_wins(tmp_path: Path) -> None:
    plant(tmp_path / "bin" / "python3.13", GOOD)
    named = plant(tmp_path / "mine" / "python", GOOD)
    assert find(tmp_path, PYTHON=str(named)).stdout.strip() == str(named)


def test_without_a_suitable_python_one_sentence_says_so(tmp_path: Path) -> None:
    plant(tmp_path / "bin" / "python3", TOO_OLD)
    done = find(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Tillstream needs Python 3.12 or newer")
    assert len(done.stderr.splitlines()) == 1
