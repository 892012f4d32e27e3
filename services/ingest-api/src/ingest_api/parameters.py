"""The parameters of the routes, as OpenAPI and the answers describe them."""

from typing import Annotated

from fastapi import Header
from pydantic import Field

from tillstream.contracts.envelope import DEFAULT_SOURCE
from tillstream.http.parameters import Form, Parameters

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


class IngestParameters(Parameters):
    source: Source | None = Field(
        default=None, description=f"Who sends it; the same as the header {SOURCE_HEADER}."
    )
