"""The resident memory of services, looked at twice a second while a row runs."""

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil

from results import MB, Memory, growth
from tillstream_native.places import ETL_WORKER, FILE_LOADER, INGEST_API
from tillstream_native.stack import Stack

SAMPLE_S = 0.5
LONG_ENOUGH = 60  # samples, half a minute: a process that lived shorter says nothing about growth
WATCHED = (INGEST_API, ETL_WORKER, FILE_LOADER)


class Watch:
    """Samples per service and process; a service that was started anew is another process."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, int], list[float]] = defaultdict(list)

    def look(self, stack: Stack) -> None:
        for part in stack.status():
            if part.name in WATCHED and part.pid is not None:
                with suppress(psutil.NoSuchProcess):  # it may end between the two looks
                    self._samples[part.name, part.pid].append(psutil.Process(part.pid).memory_info().rss / MB)

    def found(self) -> Sequence[Memory]:
        """Of every service that ran."""
        names = sorted({name for name, _ in self._samples})
        return [
            memory_of(name, [each for (of, _), each in self._samples.items() if of == name]) for name in names
        ]


def memory_of(service: str, processes: Sequence[Sequence[float]]) -> Memory:
    """The highest of all processes; the growth of the worst that lived long enough."""
    grown = [growth(each) for each in processes if len(each) >= LONG_ENOUGH]
    return Memory(service, max(max(each) for each in processes), max(grown, default=None))


@contextmanager
def watching(stack: Stack) -> Iterator[Watch]:
    """A thread that looks until the caller is done."""
    watch, done = Watch(), threading.Event()

    def run() -> None:
        while not done.wait(SAMPLE_S):
            watch.look(stack)

    thread = threading.Thread(target=run, name="memory")
    thread.start()
    try:
        yield watch
    finally:
        done.set()
        thread.join()
