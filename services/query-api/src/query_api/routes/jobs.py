"""/jobs, /jobs/{job_id} and /jobs/{job_id}/rejects.csv."""

from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import Response, StreamingResponse

from query_api import answers as models
from query_api.database import Reader
from query_api.jobs import find_job, list_jobs
from query_api.parameters import JobsParameters
from query_api.rejects import open_rejects
from query_api.routes import examples
from query_api.routes.guards import BAD_PARAMETER, NO_DATABASE, Responses, answers, missing
from tillstream.http.json_response import json_response
from tillstream.http.parameters import Parameters

CSV = "text/csv"
_MISSING = missing("There is no file job 01942f1e-7b1a-7c55-9d0e-5f2a6c1b8e40.")
_REJECTS: Responses = {
    200: {"content": {CSV: {"schema": {"type": "string"}, "example": examples.REJECTS}}},
    **_MISSING,
    **BAD_PARAMETER,
    **NO_DATABASE,
}


def make_router(reader: Reader) -> APIRouter:
    router = APIRouter(tags=["files"])

    @router.get(
        "/jobs",
        summary="File jobs with their statements, newest first",
        responses=answers(models.Jobs, examples.JOBS),
    )
    async def get_jobs(query: Annotated[JobsParameters, Query()]) -> Response:
        page = await list_jobs(
            reader,
            file_name=query.file_name,
            source=query.source,
            status=query.status,
            limit=query.limit,
            cursor=query.cursor,
        )
        return json_response(page)

    @router.get(
        "/jobs/{job_id}", summary="One file job", responses={**answers(models.Job, examples.JOB), **_MISSING}
    )
    async def get_job(job_id: Annotated[UUID, Path()], _query: Annotated[Parameters, Query()]) -> Response:
        return json_response(await find_job(reader, job_id))

    @router.get(
        "/jobs/{job_id}/rejects.csv",
        summary="The rows of a file that still wait for a correction",
        description="Correct it and drop it back: every row loads under its first message id and version.",
        response_class=StreamingResponse,
        responses=_REJECTS,
    )
    async def get_rejects(
        job_id: Annotated[UUID, Path()], _query: Annotated[Parameters, Query()]
    ) -> Response:
        file = await open_rejects(reader, job_id)
        disposition = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
        return StreamingResponse(file.pieces, media_type=CSV, headers={"Content-Disposition": disposition})

    return router
