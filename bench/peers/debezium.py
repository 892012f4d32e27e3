"""Kafka Connect with the Debezium JDBC sink, standalone: one process that does with the topic what the worker does.

It reads the very records that the worker reads: the converter is given the schema that they do not carry. Its files are
fetched by Maven into the cache, once, and each must have the hash that `connect/files.sha256` says.
"""

import hashlib
import shutil
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

from tillstream_native.kafka import fetch_pinned
from tillstream_native.processes import Child, Program
from tillstream_native.system import LOCALHOST, CannotRun
from tillstream_native.tools import find_java

HERE = Path(__file__).parent / "connect"
PLUGIN = "debezium-connector-jdbc"
MAIN = "org.apache.kafka.connect.cli.ConnectStandalone"
JVM = ("-Xms256m", "-Xmx1g", "-Djava.awt.headless=true")
STOP_WITHIN_S = 30


def sink(
    place: Path,
    cache: Path,
    *,
    name: str,
    topic: str,
    bootstrap: str,
    dsn: str,
    port: int,
    options: dict[str, str],
) -> Child:
    """The process, not started. `name` is a new consumer group's too; `dsn` names the database that has the table `events`."""
    files = _files(cache)
    place.mkdir(parents=True)
    worker, connector = place / "worker.properties", place / "sink.properties"
    worker.write_text(_properties(HERE / "worker.properties", _worker(place, files, bootstrap, port)))
    connector.write_text(_properties(HERE / "sink.properties", _connector(name, topic, dsn) | options))
    logging = f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"
    command = (str(find_java()), *JVM, logging, "-cp", f"{files}/*", MAIN, str(worker), str(connector))
    return Child(Program(name, command, place, (port,), stop_within_s=STOP_WITHIN_S), place)


def _worker(place: Path, files: Path, bootstrap: str, port: int) -> dict[str, str]:
    schema = " ".join((HERE / "event.schema.json").read_text().split())
    return {
        "bootstrap.servers": bootstrap,
        "listeners": f"http://{LOCALHOST}:{port}",
        "offset.storage.file.filename": str(place / "offsets"),
        "plugin.path": str(files / "plugins"),
        "value.converter.schema.content": schema,
    }


def _connector(name: str, topic: str, dsn: str) -> dict[str, str]:
    url = urlsplit(dsn)
    return {
        "name": name,
        "topics": topic,
        "connection.url": f"jdbc:postgresql://{url.hostname}:{url.port}{url.path}?reWriteBatchedInserts=true",
        "connection.username": str(url.username),
        "connection.password": str(url.password),
    }


def _properties(base: Path, more: dict[str, str]) -> str:
    return base.read_text() + "".join(f"{name}={value}\n" for name, value in more.items())


def _files(cache: Path) -> Path:
    """The folder with Connect's jars, the sink beneath it."""
    files = fetch_pinned(HERE / "pom.xml", "connect", cache, find_java())
    for line in (HERE / "files.sha256").read_text().splitlines():
        expected, name = line.split()
        with (files / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise CannotRun(f"{name} is not the file that was pinned: delete {files} and try again.")
    plugins = files / "plugins"
    if not plugins.exists():
        half = files / "plugins.half"
        shutil.rmtree(half, ignore_errors=True)
        with tarfile.open(next(files.glob(f"{PLUGIN}-*.tar.gz"))) as packed:
            packed.extractall(half, filter="data")
        half.rename(plugins)
    return files
