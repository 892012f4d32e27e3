"""JSON in and out without loss, the same at every door."""

import json
import re
from typing import Any, NoReturn

import msgspec

from tillstream.errors import MalformedJson


class NumberLexeme:
    """A JSON number with a point or an exponent, as it was written. No float stands on the road of the data.

    It is not a `str`, so that `1.5` is never taken for the text "1.5".
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"NumberLexeme({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NumberLexeme) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def whole_number(text: str) -> int | NumberLexeme:
    """An integer lexeme as a number, or as it stands where Python declines its length (then no rule accepts it)."""
    try:
        return int(text)
    except ValueError:
        return NumberLexeme(text)


def _not_json(lexeme: str) -> NoReturn:
    raise MalformedJson(f"{lexeme} is not a JSON value.")


def _written(value: Any) -> Any:
    if isinstance(value, NumberLexeme):
        return msgspec.Raw(value.text.encode())
    raise NotImplementedError(f"{type(value).__name__} has no JSON form here.")


# Less than any interpreter allows parsers to descend.
_SAFE_OPENERS = 1_000
# A string, also one that never ends, in one piece; or a bracket.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)

_DECODER = msgspec.json.Decoder(float_hook=NumberLexeme)
_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=_written)


def parse_json(data: bytes) -> Any:
    """The value of a JSON text in UTF-8: dict, list, str, int, bool, None and `NumberLexeme`.

    Raises MalformedJson, also for what is nested too deeply to be read. A name that comes twice has its last value.
    """
    try:
        return _DECODER.decode(data)
    except RecursionError:
        raise MalformedJson("The JSON is nested too deeply.") from None
    except UnicodeDecodeError:
        raise MalformedJson("The JSON is not valid UTF-8.") from None
    except msgspec.DecodeError:
        return _parse_slowly(data)


def _parse_slowly(data: bytes) -> Any:
    """msgspec refuses escaped lone surrogates and endless integers, which are JSON all the same; the rules refuse them."""
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_float=NumberLexeme,
            parse_int=whole_number,
            parse_constant=_not_json,
        )
    except RecursionError:
        raise MalformedJson("The JSON is nested too deeply.") from None
    except UnicodeDecodeError:
        raise MalformedJson("The JSON is not valid UTF-8.") from None
    except json.JSONDecodeError as error:
        raise MalformedJson(f"Not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None


def nested_deeper_than(data: bytes, limit: int) -> bool:
    """Whether brackets in `data` stand more than `limit` deep, if so many that a parser might give up on them.

    Where a parser gives up depends on how deep its caller stands; this does not. Milliseconds for a hostile megabyte,
    nothing for others.
    """
    if data.count(b"[") + data.count(b"{") <= _SAFE_OPENERS:
        return False
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(data):
        token = found[0]
        if token in (b"[", b"{"):
            depth += 1
            if depth > limit:
                return True
        elif token in (b"]", b"}"):
            depth -= 1
    return False


def dump_json(value: Any) -> bytes:
    """The JSON text of what `parse_json` gave, or of our own answers: amounts exact, times ISO 8601.

    A lone surrogate, which has no UTF-8 form, is written as U+FFFD.
    """
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        return _ENCODER.encode(_without_surrogates(value))


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(inner) for inner in value]
    return value
