"""The parameters of the routes, as OpenAPI and the answers describe them."""

from typing import Annotated

from fastapi import Header
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from tillstream.contracts.encodings import DeclaredEncoding
from tillstream.contracts.envelope import DEFAULT_SOURCE
from tillstream.contracts.file_meta import META_SUFFIX, is_meta
from tillstream.contracts.file_names import (
    MAX_NAME_BYTES,
    UNFINISHED_PREFIX,
    UNFINISHED_SUFFIXES,
    is_unfinished,
    name_problem,
)
from tillstream.contracts.rules import TIME_PATTERN, is_text
from tillstream.http.parameters import Form, Parameters, bad_parameter

SOURCE_HEADER = "X-Source"
IDEMPOTENCY_HEADER = "Idempotency-Key"

SOURCE_PATTERN = r"^[A-Za-z0-9._-]{1,64}$"
KEY_PATTERN = r"^[!-~]{1,255}$"

Source = Annotated[
    str,
    Form(SOURCE_PATTERN, "be 1 to 64 letters from A to Z, digits, dots, underscores and hyphens"),
]
IdempotencyKey = Annotated[str, Form(KEY_PATTERN, "be 1 to 255 printable ASCII characters without a space")]
SourceHeader = Annotated[
    Source | None,
    Header(
        alias=SOURCE_HEADER,
        description=f"The application or partner that sends it; ids belong to it. `{DEFAULT_SOURCE}` by default.",
    ),
]
IdempotencyHeader = Annotated[
    IdempotencyKey | None,
    Header(
        alias=IDEMPOTENCY_HEADER,
        description="Unique to this body, best a UUID. The same body under the same key is stored once.",
    ),
]


def _problem(name: str) -> str | None:
    problem = name_problem(name)
    if problem is not None:
        return problem
    if not is_text(name):
        return "its name is no text of 1 to 320 characters"
    if is_unfinished(name):
        return f"a name that begins with {UNFINISHED_PREFIX} or ends in {' or '.join(UNFINISHED_SUFFIXES)} is that of an unfinished file"
    if is_meta(name):
        return f"a name that ends in {META_SUFFIX} is that of a meta file, whose fields are parameters of an upload"
    return None


def _plain_name(name: str) -> str:
    problem = _problem(name)
    if problem is not None:
        raise PydanticCustomError(
            "file_name", "Input should be a plain file name: {problem}", {"problem": problem}
        )
    return name


class IngestParameters(Parameters):
    source: Source | None = Field(
        default=None, description=f"Who sends it; the same as the header {SOURCE_HEADER}."
    )


class UploadParameters(IngestParameters):
    name: Annotated[str, AfterValidator(_plain_name)] = Field(
        description=f"The file's name: printable, {MAX_NAME_BYTES} bytes at most, without / and \\; not that of an unfinished file "
        f"({UNFINISHED_PREFIX}x, {', '.join('x' + each for each in UNFINISHED_SUFFIXES)}) or of a meta file (x{META_SUFFIX}).",
        min_length=1,
        max_length=MAX_NAME_BYTES,
    )
    as_of: (
        Annotated[str, Form(f"^{TIME_PATTERN}$", "be an ISO 8601 time such as 2024-01-20T10:30:00Z")] | None
    ) = Field(
        default=None,
        description="The moment that the rows describe: the version of rows without `updated_at`. By default when it came.",
    )
    encoding: DeclaredEncoding | None = Field(
        default=None,
        description="Of a file that is no UTF-8 and has no byte order mark; it counts before the setting of file-loader.",
    )
    dry_run: bool = Field(
        default=False,
        description="Only say what would become of the file; nothing is loaded, and nothing of it is kept.",
    )


def one_source(parameter: str | None, header: str | None) -> str:
    """Raises Problem 422 where the two differ."""
    if parameter is not None and header is not None and parameter != header:
        raise bad_parameter("source", f"differs from the header {SOURCE_HEADER}")
    return parameter or header or DEFAULT_SOURCE
