"""How the rows of a file are written, as its job remembers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tillstream.csv.encoding import Certainty, Encoding
from tillstream.csv.header import Header


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the rows of a file are written: what its header row and its encoding were found to be."""

    separator: str = ","
    columns: Sequence[str] = ()
    encoding: Encoding = Encoding.UTF_8
    certainty: Certainty = Certainty.ASSUMED

    @classmethod
    def of(cls, header: Header) -> Self:
        return cls(header.separator, header.columns, header.encoding, header.certainty)

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any] | None) -> Self | None:
        """That of a job whose file was identified. An older release wrote no encoding, and read UTF-8 only."""
        if stored is None:
            return None
        return cls(
            stored["separator"],
            stored["columns"],
            Encoding(stored.get("encoding", Encoding.UTF_8)),
            Certainty(stored.get("encoding_certainty", Certainty.ASSUMED)),
        )

    def stored(self) -> dict[str, object]:
        return {
            "separator": self.separator,
            "columns": list(self.columns),
            "encoding": self.encoding.value,
            "encoding_certainty": self.certainty.value,
        }
