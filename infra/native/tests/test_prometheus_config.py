"""What is made of Prometheus's configuration here, and what is said where the program is not."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tillstream.observe.definitions import Process
from tillstream_native.__main__ import main
from tillstream_native.places import SERVICES, Ports
from tillstream_native.prometheus import SOURCE, Prometheus, find_program

pytestmark = pytest.mark.unit

PORTS = Ports(2_000)


def configured(place: Path) -> dict[str, Any]:
    targets = {name: PORTS.ops(name) for name in SERVICES}
    prometheus = Prometheus(place / "prometheus", Path("/prometheus"), PORTS.prometheus, targets)
    prometheus.configure()
    found: dict[str, Any] = yaml.safe_load(prometheus.config.read_text())
    return found


def test_the_native_stack_is_scraped_at_its_own_ports(tmp_path: Path) -> None:
    content = configured(tmp_path)
    targets = {
        job["job_name"]: [target for each in job["static_configs"] for target in each["targets"]]
        for job in content["scrape_configs"]
    }
    wanted: dict[str, list[str]] = {process: [f"127.0.0.1:{PORTS.ops(process)}"] for process in Process}
    assert targets == {**wanted, "prometheus": ["127.0.0.1:11090"]}
    assert [job for job in content["scrape_configs"] if "dns_sd_configs" in job] == []


def test_nothing_else_differs_from_what_a_container_reads(tmp_path: Path) -> None:
    content, source = configured(tmp_path), yaml.safe_load((SOURCE / "prometheus.yml").read_text())
    assert content["global"] == source["global"]
    assert content["rule_files"] == [f"{SOURCE}/rules/*.yml"]
    assert content.keys() == source.keys()


def test_the_program_is_found_on_the_path_and_then_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert find_program("prometheus", tmp_path / "cache") is None
    fetched = tmp_path / "cache" / "prometheus" / "usr" / "bin" / "prometheus"
    installed = tmp_path / "path" / "prometheus"
    for each in (fetched, installed):
        each.parent.mkdir(parents=True)
        each.touch(0o755)
        assert find_program("prometheus", tmp_path / "cache") == each


def test_without_the_program_nothing_is_started_and_one_sentence_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PROMETHEUS", "1")
    where = ["--state", str(tmp_path / "state"), "--cache", str(tmp_path / "cache")]
    monkeypatch.setattr("sys.argv", ["tillstream_native", *where, "up"])
    assert main() == 1
    assert "make fetch-prometheus" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()
