"""The Java and the Maven that are found: such that run, and are new enough."""

from pathlib import Path

import pytest

from tillstream_native import kafka, tools
from tillstream_native.kafka import fetch_jars
from tillstream_native.system import CannotRun
from tillstream_native.tools import find_java, find_maven

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which only planted programs can be found."""
    for variable in ("JAVA_HOME", "MAVEN_HOME", "M2_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(tools, "JAVA_HOMES", (str(tmp_path / "jvm" / "*"),))
    monkeypatch.setattr(tools, "MAVEN_HOMES", ())


def plant(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def plant_maven(path: Path) -> Path:
    """A Maven that puts one jar where it is told to; the file that is returned has a line per fetch."""
    calls = path.with_name("fetches")
    plant(
        path,
        f"""\
for each in "$@"; do
    case $each in -DoutputDirectory=*)
        /bin/mkdir -p "${{each#*=}}"
        echo fetched >>{calls}
        echo jar >"${{each#*=}}/kafka-$(/usr/bin/wc -l <{calls}).jar"
    esac
done""",
    )
    return calls


def plant_java(path: Path, version: str) -> Path:
    return plant(path, f"echo 'openjdk version \"{version}\" 2025-01-01' >&2")


def test_newer_java_is_found_beside_a_default_that_is_too_old(tmp_path: Path) -> None:
    plant_java(tmp_path / "bin" / "java", "11.0.2")
    newer = plant_java(tmp_path / "jvm" / "java-21" / "bin" / "java", "21.0.1")
    assert find_java() == newer


def test_java_home_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_java(tmp_path / "bin" / "java", "17.0.1")
    named = plant_java(tmp_path / "mine" / "bin" / "java", "21")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "mine"))
    assert find_java() == named


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.2", "16.0.1"])
def test_java_that_is_too_old_is_one_sentence(version: str, tmp_path: Path) -> None:
    plant_java(tmp_path / "bin" / "java", version)
    with pytest.raises(CannotRun, match=r"^Kafka needs Java 17 or newer: [^\n]*\.$"):
        find_java()


def test_java_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    plant(tmp_path / "bin" / "java", "exit 127")
    with pytest.raises(CannotRun, match="Java 17"):
        find_java()


def test_maven_runs_on_the_java_that_was_found(tmp_path: Path) -> None:
    java = plant_java(tmp_path / "jvm" / "java-21" / "bin" / "java", "21")
    plant(tmp_path / "bin" / "mvn", f'test "$JAVA_HOME" = "{java.parents[1]}"')
    maven, environment = find_maven(java)
    assert maven == tmp_path / "bin" / "mvn"
    assert environment["JAVA_HOME"] == str(java.parents[1])


def test_missing_maven_is_one_sentence_and_leaves_no_half_cache(tmp_path: Path) -> None:
    java = plant_java(tmp_path / "bin" / "java", "21")
    with pytest.raises(CannotRun, match=r"^Kafka's jars are fetched with Maven, [^\n]*\.$"):
        fetch_jars(tmp_path / "cache", java)
    assert not (tmp_path / "cache" / "kafka").exists()


def test_failed_download_is_tried_again_the_next_time(tmp_path: Path) -> None:
    java = plant_java(tmp_path / "bin" / "java", "21")
    plant(tmp_path / "bin" / "mvn", 'case "$*" in -v) ;; *) echo "no route to host"; exit 1 ;; esac')
    for _ in range(2):
        with pytest.raises(CannotRun, match="no route to host"):
            fetch_jars(tmp_path / "cache", java)


def test_jars_are_fetched_once_and_again_when_the_pins_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = plant_java(tmp_path / "bin" / "java", "21")
    fetches = plant_maven(tmp_path / "bin" / "mvn")
    first = fetch_jars(tmp_path / "cache", java)
    (tmp_path / "bin" / "mvn").rename(tmp_path / "bin" / "put-away")
    assert fetch_jars(tmp_path / "cache", java) == first
    assert (fetches.read_text().count("\n"), [each.name for each in first.glob("*.jar")]) == (
        1,
        ["kafka-1.jar"],
    )

    (tmp_path / "bin" / "put-away").rename(tmp_path / "bin" / "mvn")
    (tmp_path / "pom.xml").write_text("other pins")
    monkeypatch.setattr(kafka, "POM", tmp_path / "pom.xml")
    assert fetch_jars(tmp_path / "cache", java) == first
    assert (fetches.read_text().count("\n"), [each.name for each in first.glob("*.jar")]) == (
        2,
        ["kafka-2.jar"],
    )
