"""C7: no service grows without end."""

from collections.abc import Iterator, Mapping, Sequence

MAX_GROWTH_MB = 100.0
MAX_MB = 300.0
LOOKS_AT_LEAST = 2  # one says nothing about growth


def check_memory(measured_mb: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """What is wrong with the resident memory of each service, as measured from its start on."""
    for name, looks in measured_mb.items():
        if len(looks) < LOOKS_AT_LEAST:
            yield f"{name} was measured {len(looks)} times: too seldom to say how it grows"
            continue
        most = max(looks)
        if most - looks[0] > MAX_GROWTH_MB:
            yield f"{name} grew from {looks[0]:.0f} to {most:.0f} MB, by more than {MAX_GROWTH_MB:g}"
        if most >= MAX_MB:
            yield f"{name} held {most:.0f} MB, not less than {MAX_MB:g}"
