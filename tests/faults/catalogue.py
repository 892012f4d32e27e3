"""Every kind of fault, with what is drawn about it."""

import signal
from random import Random

from faults.kinds import (
    BackEndsKilled,
    BadWire,
    ConnectionsTaken,
    DiskFull,
    Ended,
    Fault,
    Overtaken,
    Rejoining,
    Stopped,
    TableLocked,
    WireReset,
    disk_fault,
    loader_crash,
    worker_crash,
)
from faults.rival import RivalWriter
from faults.roots.consumer import SESSION_S
from faults.roots.crashes import Step
from faults.system import System
from faults.wire import Manner, Wire
from tillstream_native.places import ETL_WORKER, FILE_LOADER, FILE_WATCHER, INGEST_API, KAFKA, POSTGRES

NOT_YET_COMMITTED = (Step.BEFORE_WRITE, Step.AFTER_WRITE, Step.AFTER_FENCE, Step.BEFORE_COMMIT)
OF_A_CHUNK = (Step.BEFORE_WRITE, Step.AFTER_WRITE, Step.BEFORE_COMMIT, Step.AFTER_COMMIT)
DISKS = ("postgres", "kafka", "logs", "data")


def worker_faults(random: Random) -> list[Fault]:
    """One of each kind that befalls the worker's process. No two of them at a time: they would wait for one another."""
    return [
        Ended("worker SIGKILL", ETL_WORKER, signal.SIGKILL),
        Ended("worker SIGTERM", ETL_WORKER, signal.SIGTERM),
        Stopped("worker SIGSTOP", ETL_WORKER, SESSION_S + 2),
        *(worker_crash(step) for step in Step),
        Overtaken(step=random.choice(NOT_YET_COMMITTED)),
        Rejoining(),
    ]


def file_faults(random: Random) -> list[Fault]:
    """One of each kind that befalls the two processes that take files."""
    return [
        Ended("watcher SIGKILL", FILE_WATCHER, signal.SIGKILL),
        Ended("watcher SIGTERM", FILE_WATCHER, signal.SIGTERM),
        Stopped("watcher SIGSTOP", FILE_WATCHER, 3.0),
        Ended("loader SIGKILL", FILE_LOADER, signal.SIGKILL),
        Ended("loader SIGTERM", FILE_LOADER, signal.SIGTERM),
        Stopped("loader SIGSTOP", FILE_LOADER, SESSION_S + 2),
        loader_crash(random.choice(OF_A_CHUNK)),
    ]


def other_faults(system: System, random: Random) -> list[Fault]:
    """One of each other kind that this machine can do. Which wire is bad is drawn."""

    def wire() -> Wire:
        return random.choice(system.wires.all)

    faults: list[Fault] = [
        Ended("ingest SIGKILL", INGEST_API, signal.SIGKILL),
        Ended("ingest SIGTERM", INGEST_API, signal.SIGTERM),
        Stopped("ingest SIGSTOP", INGEST_API, 3.0),
        Ended("broker SIGKILL", KAFKA, signal.SIGKILL),
        Stopped("broker SIGSTOP", KAFKA, 6.0),
        Ended("broker restart", KAFKA, signal.SIGTERM),
        Ended("database fast restart", POSTGRES, signal.SIGINT),
        Ended("database immediate restart", POSTGRES, signal.SIGQUIT),
        BackEndsKilled(),
        TableLocked(),
        ConnectionsTaken(),
        RivalWriter(),
        WireReset(wire()),
        *(BadWire(wire(), manner) for manner in Manner if manner is not Manner.CLEAR),
    ]
    if system.disks.available:
        faults += [DiskFull(disk) for disk in DISKS]
    return faults


def not_run_here(system: System) -> list[str]:
    """The kinds that this machine cannot do, by name."""
    return [] if system.disks.available else [disk_fault(disk) for disk in DISKS]
