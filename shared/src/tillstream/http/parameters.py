"""What holds for the parameters of every route: none is unknown, none comes twice, a wrong one is told in words."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_after_validator_function
from starlette.requests import Request

from tillstream.http.problems import Problem

SHOWN_NAME_CHARS = 40
TWICE = "was given more than once"


class Parameters(BaseModel):
    """None at all; the base of the others. An unknown parameter is refused by its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Form:
    """How a text must look, as metadata of `Annotated`: programs read `pattern` in the document, people the rule.

    `rule` goes on after "Input should".
    """

    pattern: str
    rule: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        fits = re.compile(self.pattern).fullmatch

        def check(value: str) -> str:
            if not fits(value):
                raise PydanticCustomError("form", "Input should {rule}", {"rule": self.rule})
            return value

        return no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": self.pattern}


def bad_parameter(name: str, message: str, place: str = "query") -> Problem:
    """422 for one parameter. `place` is where it stands: `query`, `path` or `header`."""
    shown = name[:SHOWN_NAME_CHARS]
    named = {"name": shown, "in": place, "message": message}
    return Problem(422, f"Parameter {shown}: {message}.", extra={"errors": [named]})


async def refuse_repeated(request: Request) -> None:
    """Of `?limit=1&limit=2` one would be ignored; which one the client meant, nobody knows."""
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name in seen:
            raise bad_parameter(name, TWICE)
        seen.add(name)


def refuse_repeated_headers(*names: str) -> Callable[[Request], Awaitable[None]]:
    """The same for these headers, as a dependency."""

    async def refuse(request: Request) -> None:
        for name in names:
            if len(request.headers.getlist(name)) > 1:
                raise bad_parameter(name, TWICE, "header")

    return refuse
