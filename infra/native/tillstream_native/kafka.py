"""Apache Kafka from its Maven Central jars: one broker, its own controller, in one folder."""

import base64
import fcntl
import secrets
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tillstream_native.processes import Program
from tillstream_native.system import LOCALHOST, CannotRun
from tillstream_native.tools import find_maven

CONFIG = Path(__file__).parents[2] / "kafka"
POM = CONFIG / "pom.xml"
COPY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
JVM = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
ANSWER_WITHIN_S = 1.0
METADATA_REQUEST = 3
METADATA_VERSION = 1
CORRELATION_ID = 7
NO_TOPICS = 0


def class_archive(jars: Path) -> Path:
    """Where the archive of a broker's classes lies; see `tillstream_native.class_archive`."""
    return jars / "classes.jsa"


def fetch_jars(cache: Path, java: Path) -> Path:
    """The folder with the pinned jars of the broker."""
    return fetch_pinned(POM, "kafka", cache, java)


def fetch_pinned(pom: Path, name: str, cache: Path, java: Path) -> Path:
    """The folder `name` in the cache with all that a POM names; fetched with Maven once, and again when the POM changes."""
    files, stamp = cache / name, cache / name / "pom.xml"
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / f"{name}.lock"):
        if stamp.exists() and stamp.read_bytes() == pom.read_bytes():
            return files
        maven, environment = find_maven(java)
        shutil.rmtree(files, ignore_errors=True)
        where = (f"-Dmaven.repo.local={cache / 'm2'}", f"-DoutputDirectory={files}")
        done = subprocess.run(
            [maven, "-q", "-B", "-f", pom, *where, COPY_PLUGIN, "-DincludeScope=runtime"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CannotRun(f"Maven could not fetch the jars of {name}: {done.stdout.strip()[-2000:]}")
        shutil.copyfile(pom, stamp)
    return files


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else who asks for it goes on meanwhile, whichever process that is. Blocks."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker lies and how one reaches it."""

    place: Path
    jars: Path
    java: Path
    port: int
    controller_port: int

    @property
    def bootstrap(self) -> str:
        return f"{LOCALHOST}:{self.port}"

    @property
    def properties(self) -> Path:
        return self.place / "server.properties"

    @property
    def log_dir(self) -> Path:
        return self.place / "log"

    def program(self) -> Program:
        return Program(
            name="kafka",
            command=self._java("kafka.Kafka", str(self.properties)),
            directory=self.place,
            ports=(self.port, self.controller_port),
        )

    def configure(self) -> None:
        """Write the settings; they hold from the next start on."""
        self.place.mkdir(parents=True, exist_ok=True)
        controller = f"{LOCALHOST}:{self.controller_port}"
        lines = [
            (CONFIG / "server.properties").read_text(),
            f"listeners=PLAINTEXT://{self.bootstrap},CONTROLLER://{controller}",
            f"advertised.listeners=PLAINTEXT://{self.bootstrap},CONTROLLER://{controller}",
            f"controller.quorum.bootstrap.servers={controller}",
            f"log.dirs={self.log_dir}",
        ]
        self.properties.write_text("\n".join(lines) + "\n")

    def create(self) -> None:
        """Give the broker's folder an identity of its own; what has one keeps it."""
        if (self.log_dir / "meta.properties").exists():
            return
        self.configure()
        shutil.rmtree(self.log_dir, ignore_errors=True)
        cluster_id = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        arguments = (
            "format",
            "--standalone",
            f"--cluster-id={cluster_id}",
            "-c",
            str(self.properties),
        )  # an id may begin with "-"
        command = self._java("kafka.tools.StorageTool", *arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotRun(f"Kafka's folder could not be formatted: {(done.stderr or done.stdout).strip()}")

    def ready(self) -> bool:
        """Whether the broker names itself as one that serves: before that, topics cannot be created."""
        try:
            with socket.create_connection((LOCALHOST, self.port), ANSWER_WITHIN_S) as connection:
                connection.settimeout(ANSWER_WITHIN_S)
                return _serving_brokers(connection) > 0
        except (OSError, struct.error):
            return False

    def _java(self, main: str, *arguments: str) -> tuple[str, ...]:
        logging = f"-Dlog4j2.configurationFile={CONFIG / 'log4j2.properties'}"
        archive = class_archive(self.jars)
        archived = (
            (f"-XX:SharedArchiveFile={archive}",) if archive.is_file() and archive.stat().st_size else ()
        )
        return (str(self.java), *JVM, *archived, logging, "-cp", f"{self.jars}/*", main, *arguments)


def _serving_brokers(connection: socket.socket) -> int:
    """How many brokers the metadata lists: one request by hand, so that readiness needs no client library."""
    body = struct.pack(">hhihi", METADATA_REQUEST, METADATA_VERSION, CORRELATION_ID, -1, NO_TOPICS)
    connection.sendall(struct.pack(">i", len(body)) + body)
    answer = connection.makefile("rb").read(12)
    _, _, brokers = struct.unpack(">iii", answer)
    return int(brokers)
