"""The names of all environment variables of the system, and what is said of one that nobody knows.

One `settings.env` serves all processes, so a variable of another process is no error, and a process must know the names of all. It
cannot import the others' settings: `variables.txt` is made from them by `python docs/pages.py`, and a test fails when it is not current.
"""

import os
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from importlib.resources import files

import structlog

PREFIX = "TILLSTREAM_"
# What the stacks themselves are told, or set; no process reads them.
OF_THE_STACKS = frozenset({"TILLSTREAM_DATA", "TILLSTREAM_STACK", "TILLSTREAM_VERSION"})

_log = structlog.get_logger()


def known_variables() -> frozenset[str]:
    """Every variable that some process, command or task of the nightly DAG reads."""
    return frozenset(files("tillstream").joinpath("variables.txt").read_text(encoding="utf-8").split())


def misspelt(names: Iterable[str]) -> list[str]:
    """A sentence for each variable with our prefix that no process knows, with the known one that looks most like it."""
    known = known_variables()
    # Whether a name is in capitals does not matter to whoever reads it.
    return [
        _unknown(name, known)
        for name in sorted(set(names))
        if name.upper().startswith(PREFIX) and name.upper() not in known
    ]


def warn_of_misspelt() -> None:
    """A warning in the log for each such variable of this process's environment; to be called once, at its start.

    Before the settings are read: where the right name is required, this says why it is missing."""
    for sentence in misspelt(os.environ):
        _log.warning(sentence)


def _unknown(name: str, known: Collection[str]) -> str:
    candidates = sorted(each.removeprefix(PREFIX) for each in known)
    near = get_close_matches(name.upper().removeprefix(PREFIX), candidates, n=1)
    hint = f": is {PREFIX}{near[0]} meant?" if near else "."
    return f"No process knows {name}, and nothing heeds it{hint}"
