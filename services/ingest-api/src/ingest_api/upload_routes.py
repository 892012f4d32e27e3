"""The edge of uploads: POST /ingest/files."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, FastAPI, Query
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from ingest_api.dry_run import DryRun, Question
from ingest_api.parameters import (
    IDEMPOTENCY_HEADER,
    SOURCE_HEADER,
    IdempotencyHeader,
    SourceHeader,
    UploadParameters,
    one_source,
)
from ingest_api.read_body import content_type
from ingest_api.take_upload import TakeUpload, Upload
from ingest_api.upload_descriptions import FILE_TYPES, SUMMARY, upload_body, upload_responses
from tillstream.contracts.files import read_as_of
from tillstream.contracts.rules import Rules
from tillstream.http.json_response import finished_json, json_response
from tillstream.http.parameters import bad_parameter, refuse_repeated, refuse_repeated_headers
from tillstream.http.problems import Problem

UPLOAD_PATH = "/ingest/files"
NO_FOLDER = "This door takes no files: it has no folder for them (TILLSTREAM_DATA_DIR is not set)."


class UploadDoor(NamedTuple):
    """What the route needs. Without `take`, or `examine`, it only says that no files are taken. `rules` are those of the moment."""

    take: TakeUpload | None
    examine: DryRun | None
    rules: Callable[[], Rules]
    query_url: str
    max_bytes: int


def add_upload_route(app: FastAPI, door: UploadDoor) -> None:
    app.add_api_route(
        UPLOAD_PATH,
        _upload(door),
        methods=["POST"],
        status_code=202,
        summary=SUMMARY,
        responses=upload_responses(),
        openapi_extra={"requestBody": upload_body(door.max_bytes)},
        tags=["ingest"],
        operation_id="ingest_files",
        dependencies=[
            Depends(refuse_repeated),
            Depends(refuse_repeated_headers(SOURCE_HEADER, IDEMPOTENCY_HEADER)),
        ],
    )


def _upload(door: UploadDoor) -> Callable[..., Awaitable[Response]]:
    async def receive_file(
        request: Request,
        query: Annotated[UploadParameters, Query()],
        source_header: SourceHeader = None,
        idempotency_key: IdempotencyHeader = None,
    ) -> Response:
        if door.take is None or door.examine is None:
            raise Problem(404, NO_FOLDER)
        _check_type(request.headers)
        upload = Upload(
            file_name=query.name,
            source=one_source(query.source, source_header),
            as_of=None if query.as_of is None else _as_of(query.as_of, door.rules()),
            encoding=query.encoding,
            idempotency_key=idempotency_key,
        )
        if query.dry_run:
            question = Question(upload.file_name, upload.source, upload.encoding)
            return finished_json(await door.examine(question, request.receive), 200)
        taken = await door.take(upload, request.receive)
        address = f"{door.query_url.rstrip('/')}/jobs/{taken.job_id}"
        body: dict[str, Any] = {
            "job_id": str(taken.job_id),
            "job_url": address,
            "file_name": taken.file_name,
            "source": taken.source,
            "bytes": taken.bytes,
            "repeated": taken.repeated,
        }
        return json_response(body, 202, headers={"Location": address})

    return receive_file


def _check_type(headers: Headers) -> None:
    """Raises Problem 415. A browser sends none of these types to a host that did not allow it."""
    if content_type(headers).get_content_type() not in FILE_TYPES:
        raise Problem(415, f"The Content-Type must be {', '.join(FILE_TYPES[:-1])} or {FILE_TYPES[-1]}.")


def _as_of(text: str, rules: Rules) -> Any:
    moment = read_as_of(text, rules)
    if isinstance(moment, str):
        raise bad_parameter("as_of", moment)
    return moment
