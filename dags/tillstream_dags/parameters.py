"""The parameters of a run, as somebody started it."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from tillstream_dags.errors import Refused


def refuse_unknown(given: Iterable[str], known: Collection[str]) -> None:
    """Raises Refused with a sentence for each parameter that the DAG does not know: it would be heeded nowhere, and the default hold."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        said = " ".join(_unknown(name, known) for name in unknown)
        raise Refused(f"{said} The parameters are: {', '.join(sorted(known))}.")


def _unknown(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    hint = f": is {near[0]} meant?" if near else "."
    return f"This DAG has no parameter {name}{hint}"
